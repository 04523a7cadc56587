"""Real numbers in notes: in 4, 2 or 1 byte each."""

from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt

from schemes.parts.weights import Precision

Floats = npt.NDArray[np.float32]

_STEPS = 255  # of a number of one byte


@dataclass(frozen=True)
class ScalarCoding:
    """Arrays [E, *shape] of numbers in [low, high] as the body of a note; numbers beyond the bounds are cut to them.

    `float32` and `float16` as they are, little-endian; `int8`: the nearest of 256 values that lie evenly from low to
    high.
    """

    low: float
    high: float
    shape: tuple[int, ...]
    replicas: int
    precision: Precision = "float32"

    @property
    def bytes_each(self) -> int:
        """Of one replica's numbers."""
        return int(self._dtype.itemsize) * prod(self.shape)

    def write(self, values: npt.NDArray[np.floating]) -> bytes:
        """The body."""
        cut = np.clip(values, self.low, self.high)
        if self.precision == "int8":
            cut = np.rint((cut - self.low) * (_STEPS / (self.high - self.low)))
        body: bytes = cut.astype(self._dtype).tobytes()
        return body

    def read(self, body: bytes) -> Floats:
        """The numbers that `write` was given, as precisely as they were sent. ValueError for another length, and for a
        number that lies out of bounds or is none."""
        sent = np.frombuffer(body, self._dtype).reshape(self.replicas, *self.shape).astype(np.float32)
        if self.precision == "int8":
            return np.asarray(np.float32(self.low) + sent * np.float32((self.high - self.low) / _STEPS))
        low, high = (float(self._dtype.type(bound)) for bound in (self.low, self.high))
        if not ((sent >= low) & (sent <= high)).all():
            raise ValueError(f"a number is not within {self.low:g} to {self.high:g}")
        return sent

    @property
    def _dtype(self) -> np.dtype[np.generic]:
        return np.dtype({"float32": "<f4", "float16": "<f2", "int8": "u1"}[self.precision])
