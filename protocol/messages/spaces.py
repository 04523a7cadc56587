"""Shapes of measurements and actions: packed little-endian records, one per replica."""

from collections.abc import Callable
from functools import cached_property, lru_cache
from itertools import product
from operator import le
from struct import Struct as Packed
from typing import Any

import numpy as np
import numpy.typing as npt
from msgspec import Struct

Records = npt.NDArray[Any]  # a structured array, [E]

_FEW = 32  # numbers that Python compares faster than numpy calls a function
_PACKED = {"b1": "?", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "u1": "B", "u2": "H", "u4": "I", "u8": "Q"}
_PACKED |= {"f2": "e", "f4": "f", "f8": "d"}  # struct's codes by numpy's
_ENUMERABLE = 8192  # spaces of at most this many values are checked by a set of their encodings


class Field(Struct, frozen=True, array_like=True):
    """One named quantity: `dtype` is a numpy code without byte order (f4, i2, u1), `shape` without the replica axis.

    `low`, `high`: inclusive bounds of every value; None where nothing is promised. Floats are finite in any case.
    """

    name: str
    dtype: str
    shape: tuple[int, ...] = ()
    unit: str = ""
    low: int | float | None = None
    high: int | float | None = None

    @property
    def is_float(self) -> bool:
        return self.dtype.startswith("f")


class Space(Struct, frozen=True, array_like=True, dict=True):
    """A record of fields. Encoded: E records, packed, little-endian."""

    fields: tuple[Field, ...] = ()

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        return np.dtype([(f.name, "<" + f.dtype, f.shape) for f in self.fields])

    def empty(self, replicas: int) -> Records:
        """All-zero records, [E]."""
        return np.zeros(replicas, self.dtype)

    def view(self, data: bytes) -> Records:
        """Read-only records in the memory of `data`, [E]."""
        return np.frombuffer(data, self.dtype)

    def decode(self, data: bytes) -> Records:
        """Records in fresh, writable memory, [E]."""
        return np.frombuffer(bytearray(data), self.dtype)

    def sample(self, rng: np.random.Generator, replicas: int) -> Records:
        """Records [E], uniform between the bounds of each field. ValueError for a field without both bounds."""
        records = self.empty(replicas)
        for field in self.fields:
            if field.low is None or field.high is None:
                raise ValueError(f"the field {field.name} has no bounds to draw between: give it low and high")
            shape = (replicas, *field.shape)
            if field.is_float:
                records[field.name] = rng.uniform(field.low, field.high, shape)
            else:
                records[field.name] = rng.integers(int(field.low), int(field.high), shape, endpoint=True)
        return records

    def checker(self, replicas: int) -> Callable[[bytes], bool]:
        """A test of encoded records: right length, and what `holds` asks for."""
        if replicas == 1 and (encodings := _encodings(self)):
            return encodings.__contains__
        if replicas * self._numbers <= _FEW and all(np.dtype(f.dtype).str[1:] in _PACKED for f in self.fields):
            return self._few_checker(replicas)
        return lambda data: len(data) == replicas * self.dtype.itemsize and self.holds(self.view(data))

    def _few_checker(self, replicas: int) -> Callable[[bytes], bool]:
        codes, bounds = "", []
        for field in self.fields:
            count = int(np.prod(field.shape, dtype=np.int64))
            codes += _PACKED[np.dtype(field.dtype).str[1:]] * count
            bounds += [_bounds(field)] * count
        packed = Packed("<" + codes * replicas)
        size, unpack = packed.size, packed.unpack
        lows, highs = zip(*bounds * replicas, strict=True) if bounds else ((), ())

        def fits(data: bytes) -> bool:
            if len(data) != size:
                return False
            values = unpack(data)
            return all(map(le, lows, values)) and all(map(le, values, highs))  # a NaN is neither

        return fits

    @property
    def _numbers(self) -> int:
        return sum(int(np.prod(field.shape, dtype=np.int64)) for field in self.fields)

    def holds(self, records: Records) -> bool:
        """Whether all numbers are finite and lie within the bounds of their fields; records of any shape."""
        return all(_within(records[name], low, high) for name, low, high in self._bounds)

    @cached_property
    def _bounds(self) -> list[tuple[str, int | float, int | float]]:
        """Name, lowest and highest value of each field that can hold others: all floats can."""
        bounds = [(field, _bounds(field)) for field in self.fields]
        return [(f.name, *b) for f, b in bounds if f.is_float or b != _finite(np.dtype(f.dtype))]


def _finite(dtype: np.dtype[Any]) -> tuple[int | float, int | float]:
    """The lowest and the highest finite value of a type."""
    match dtype.kind:
        case "f":
            return float(np.finfo(dtype).min), float(np.finfo(dtype).max)
        case "b":
            return 0, 1
        case _:
            return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)


def _bounds(field: Field) -> tuple[int | float, int | float]:
    """The lowest and the highest value that a field may have, as its type rounds them."""
    dtype = np.dtype(field.dtype)
    low, high = _finite(dtype)
    rounded = [b if b is None or not field.is_float else dtype.type(b).item() for b in (field.low, field.high)]
    return max(low, low if rounded[0] is None else rounded[0]), min(high, high if rounded[1] is None else rounded[1])


def _within(values: npt.NDArray[Any], low: int | float, high: int | float) -> bool:
    """Whether all lie within the bounds; a NaN does not."""
    if values.size <= _FEW:
        return all(low <= value <= high for value in values.ravel().tolist())
    return bool(low <= np.minimum.reduce(values, axis=None) and np.maximum.reduce(values, axis=None) <= high)


@lru_cache(maxsize=64)  # agents mostly have the same space
def _encodings(space: Space) -> frozenset[bytes]:
    """All records of a space, encoded; empty if they are too many."""
    choices = [_choices(field) for field in space.fields]
    if not all(choices) or np.prod([len(c) for c in choices], dtype=float) > _ENUMERABLE:
        return frozenset()
    records = np.array(list(product(*choices)), space.dtype)
    return frozenset(record.tobytes() for record in records)


def _choices(field: Field) -> list[Any]:
    """All values of a bounded integer field, as nested tuples of its shape; empty for any other field."""
    if field.is_float or field.low is None or field.high is None:
        return []
    scalars = range(int(field.low), int(field.high) + 1)
    count = int(np.prod(field.shape, dtype=np.int64))
    if len(scalars) ** count > _ENUMERABLE:
        return []
    return [np.reshape(flat, field.shape).tolist() for flat in product(scalars, repeat=count)]
