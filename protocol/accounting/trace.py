"""The trace of a run: an 8-byte digest per slot, turn, node and field; full values if the run is set to keep them.

`trace.bin` is a plain array of ROW; `values.msgpack` a stream of MessagePack arrays [slot, turn, node, field, bytes].
"""

from collections.abc import Callable
from enum import IntEnum
from hashlib import blake2b
from itertools import compress
from struct import Struct
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt
from xxhash import xxh3_64_intdigest

ROW = np.dtype([("slot", "<u4"), ("turn", "<u2"), ("node", "<u2"), ("field", "u1"), ("digest", "<u8")])
_pack = Struct("<IHHBQ").pack


class TraceField(IntEnum):
    """The kind of value that a row of the trace is the digest of."""

    MEASUREMENT = 0
    ACTION = 1
    NOTES = 2
    REWARD = 3
    METRICS = 4
    WEIGHTS = 5


TracedValue = tuple[int, int, int, TraceField, bytes]  # slot, turn, node, field, value
_DIGEST_BYTES = 16
_BLOCK_BYTES = 1 << 16
WORLD_NODE = 0xFFFF  # the `node` of rows that belong to no node (METRICS)


class TraceDigest:
    """A digest of a whole trace, whichever of its rows are kept: a chain over blocks, d <- BLAKE2b(d, block).

    A plain hash of the file would not do: its state cannot be saved with a run's, and a run that keeps no rows has no
    file to begin again from when it is resumed.
    """

    def __init__(self) -> None:
        self._chain = b""
        self._rest = b""  # less than a block

    def update(self, rows: bytes) -> None:
        """Further rows of the trace."""
        data = memoryview(self._rest + rows)  # a slice of bytes would copy all that is left, block by block
        whole = len(data) - len(data) % _BLOCK_BYTES
        for start in range(0, whole, _BLOCK_BYTES):
            block = data[start : start + _BLOCK_BYTES]
            self._chain = blake2b(b"".join((self._chain, block)), digest_size=_DIGEST_BYTES).digest()
        self._rest = bytes(data[whole:])

    def hexdigest(self) -> str:
        """Of all rows so far."""
        return blake2b(self._chain + self._rest, digest_size=_DIGEST_BYTES).hexdigest()

    def snapshot(self) -> list[bytes]:
        """The state between two rows."""
        return [self._chain, self._rest]

    def restore(self, data: list[bytes]) -> None:
        """The inverse of `snapshot`."""
        self._chain, self._rest = data


def digest_of(rows: bytes) -> str:
    """The digest of a trace of which all rows are there."""
    digest = TraceDigest()
    digest.update(rows)
    return digest.hexdigest()


class TraceWriter:
    """Collects values; `drain` hands over the bytes of their rows. `add`: records one value. `digest`: of all rows;
    `keeps`: whether those of a slot are handed over."""

    def __init__(self, *, keep_values: bool, keeps: Callable[[int], bool] = lambda _: True) -> None:
        self.digest = TraceDigest()
        self._keeps = keeps
        self._fresh: list[TracedValue] = []
        self.add = self._fresh.append
        self._rows: list[bytes] = []
        self._values: list[bytes] = []
        self._keep_values = keep_values

    def digest_pending(self) -> None:
        """Digest what was added. Called while the nodes compute, it delays no turn."""
        rows = [
            _pack(slot, turn, node, field, xxh3_64_intdigest(value)) for slot, turn, node, field, value in self._fresh
        ]
        self.digest.update(b"".join(rows))
        keeps = {slot: self._keeps(slot) for slot in {entry[0] for entry in self._fresh}}
        kept = [keeps[entry[0]] for entry in self._fresh]
        self._rows += compress(rows, kept)
        if self._keep_values:
            self._values += map(msgspec.msgpack.encode, compress(self._fresh, kept))
        self._fresh.clear()

    def drain(self) -> tuple[bytes, bytes]:
        """The bytes to append to trace.bin and values.msgpack."""
        self.digest_pending()
        rows, values = b"".join(self._rows), b"".join(self._values)
        self._rows.clear()
        self._values.clear()
        return rows, values


class Divergence(NamedTuple):
    """The first row in which two traces differ."""

    row: int
    slot: int
    turn: int
    node: int
    field: TraceField
    reason: str


def read_rows(data: bytes) -> npt.NDArray[Any]:
    """The rows of trace.bin, [rows]. ValueError when the file ends inside a row."""
    if len(data) % ROW.itemsize:
        raise ValueError(
            f"the trace's length {len(data)} is not a multiple of {ROW.itemsize}: it is truncated or no trace"
        )
    return np.frombuffer(data, ROW)


def first_divergence(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Divergence | None:
    """The first row in which two traces differ, or None."""
    shared = min(len(a), len(b))
    different = np.flatnonzero(a[:shared] != b[:shared])
    if different.size:
        return _differing(int(different[0]), a, b)
    if len(a) == len(b):
        return None
    longer = a if len(a) > len(b) else b
    return _divergence(shared, longer[shared], f"one trace ends here ({len(a)} rows against {len(b)})")


def _differing(index: int, a: npt.NDArray[Any], b: npt.NDArray[Any]) -> Divergence:
    same_key = all(a[index][key] == b[index][key] for key in ("slot", "turn", "node", "field"))
    reason = "the values differ" if same_key else f"the other run has {_describe(b[index])} here"
    return _divergence(index, a[index], reason)


def _divergence(index: int, row: Any, reason: str) -> Divergence:
    return Divergence(
        index, int(row["slot"]), int(row["turn"]), int(row["node"]), TraceField(int(row["field"])), reason
    )


def _describe(row: Any) -> str:
    return f"slot {row['slot']}, turn {row['turn']}, node {row['node']}, {TraceField(int(row['field'])).name.lower()}"
