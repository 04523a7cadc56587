"""Randomness is a position, not a stream.

Philox keyed by (seed, purpose, node) with the counter at (episode, slot, turn): a missed slot or a rejoin shifts
nothing.
"""

from zlib import crc32

import numpy as np

_UNUSED = np.random.Philox(0).state  # nothing has been drawn yet


class CounterRng:
    """One key of the run's randomness: `CounterRng(seed, "fading").at(episode, slot)` is a generator there."""

    def __init__(self, seed: int, purpose: str, node: int = 0) -> None:
        self._key = np.array([seed, crc32(purpose.encode()) << 32 | node], np.uint64)

    def at(self, episode: int, slot: int, turn: int = 0) -> np.random.Generator:
        """A fresh generator. Positions do not overlap: each has 2^64 blocks of its own."""
        counter = np.array([0, turn, slot, episode], np.uint64)
        return np.random.Generator(np.random.Philox(key=self._key, counter=counter))

    def move(self, generator: np.random.Generator, episode: int, slot: int, turn: int = 0) -> None:
        """Put a generator that `at` gave where `at` would give a fresh one, in a third of the time."""
        position = [0, turn, slot, episode]
        generator.bit_generator.state = _UNUSED | {"state": {"counter": position, "key": self._key}}
