"""Counter-based randomness: a position, not a stream.

Philox (Salmon et al., SC 2011) keyed by (seed, purpose, node), with its counter at (slot, turn): a missed slot or a
rejoin does not change later draws.
"""

from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

_UNUSED = np.random.Philox(0).state  # of a generator before its first draw


class _Key(np.random.bit_generator.ISeedSequence):
    """A seed that is used as it is. Philox(key=...) draws a seed from the operating system first, which takes twice as
    long as all the rest."""

    def __init__(self, key: npt.NDArray[np.uint64]) -> None:
        self._key = key

    def generate_state(self, n_words: int, dtype: npt.DTypeLike = np.uint32) -> npt.NDArray[np.uint64]:
        return self._key


class CounterRng:
    """One key of the run's randomness: `CounterRng(seed, "fading").at(slot)` is the generator of that slot."""

    def __init__(self, seed: int, purpose: str, node: int = 0) -> None:
        self._key = np.array([seed, crc32(purpose.encode()) << 32 | node], np.uint64)
        self._seed: Any = _Key(self._key)  # numpy takes any ISeedSequence; its types name SeedSequence alone

    def at(self, slot: int, turn: int = 0) -> np.random.Generator:
        """A fresh generator at a position. Positions do not overlap: each has 2^64 blocks of its own."""
        generator = np.random.Generator(np.random.Philox(self._seed))
        self.move(generator, slot, turn)
        return generator

    def move(self, generator: np.random.Generator, slot: int, turn: int = 0) -> None:
        """Move a generator that `at` returned to another position: as `at`, in a third of the time."""
        position = [0, turn, slot, 0]
        generator.bit_generator.state = _UNUSED | {"state": {"counter": position, "key": self._key}}
