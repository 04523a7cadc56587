"""Compares two runs bit for bit: whether they are equal, and if not, where they diverge."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import numpy.typing as npt

from airtoll.analysis.streams import read_arrays
from controller.run_folder.reader import RunFolder
from protocol.accounting.trace import WORLD_NODE, TraceField, first_divergence
from protocol.determinism.fingerprint import differences

_VALUES = "values.msgpack"
_SHOWN_VALUE_BYTES = 32
_NOWHERE: tuple[Any, ...] = (None,) * 5


@dataclass(frozen=True)
class Verdict:
    """Whether two traces are equal, and the report."""

    equal: bool
    lines: tuple[str, ...]


def compare(a: RunFolder, b: RunFolder) -> Verdict:
    """Fingerprints, then traces, then full values where both runs recorded them. ValueError for damaged files."""
    fingerprints = differences(a.meta.fingerprint, b.meta.fingerprint)
    warnings = [f"fingerprints differ, so traces may: {line}" for line in fingerprints]
    verdict = _by_rows(a, b) if a.meta.trace == b.meta.trace != "none" else _by_digest(a, b)
    return Verdict(verdict.equal, (*warnings, *verdict.lines))


def _by_rows(a: RunFolder, b: RunFolder) -> Verdict:
    """Row by row; where only the rows of eval are kept, the digests of the whole traces cover the others."""
    rows_a, rows_b = _rows(a), _rows(b)
    divergences = [*_trace_lines(a, b, rows_a, rows_b), *_value_lines(a, b)]
    if a.meta.trace == "eval" and not divergences and _whole_digest(a) != _whole_digest(b):
        divergences = ["traces differ before eval or between its rounds: no rows are kept there (record.trace: eval)"]
    return Verdict(not divergences, tuple(divergences or [f"equal: {len(rows_a)} rows of trace"]))


def _by_digest(a: RunFolder, b: RunFolder) -> Verdict:
    """By the digests of the whole traces, as at least one of the two has no rows that the other has."""
    kept = " and ".join(dict.fromkeys((a.meta.trace, b.meta.trace)))
    if _whole_digest(a) == _whole_digest(b):
        return Verdict(True, (f"equal: the digests of the whole traces; there are no rows to compare ({kept} kept)",))
    fix = "run both with record.trace: all to see where"
    return Verdict(False, (f"traces differ, by their digests; there are no rows to compare ({kept} kept): {fix}",))


def _whole_digest(folder: RunFolder) -> str:
    """ValueError for a run that was cut off: its digest is not known."""
    digest = folder.meta.trace_digest
    if digest is None:
        raise ValueError(
            f"{folder.path} was cut off and keeps only {folder.meta.trace} of its trace: nothing can be compared"
        )
    return digest


def _rows(folder: RunFolder) -> npt.NDArray[Any]:
    """The rows of a trace. ValueError for an empty trace, or a row of an unknown field."""
    rows = folder.trace_rows()
    if not len(rows):
        raise ValueError(f"{folder.path} has no trace: the run stopped before its first slot, or trace.bin is gone")
    unknown = np.flatnonzero(rows["field"] > max(TraceField))
    if unknown.size:
        raise ValueError(f"{folder.path / 'trace.bin'} is damaged: row {unknown[0]} is of no known field")
    return rows


def _trace_lines(a: RunFolder, b: RunFolder, rows_a: npt.NDArray[Any], rows_b: npt.NDArray[Any]) -> Iterator[str]:
    divergence = first_divergence(rows_a, rows_b)
    if divergence is not None:
        place = _place(a, divergence.slot, divergence.turn, divergence.node, divergence.field)
        yield f"traces diverge at row {divergence.row}: {place}: {divergence.reason}"
        yield from (f"  {f.path / 'trace.bin'} was changed after its run" for f in (a, b) if _was_changed(f))


def _was_changed(folder: RunFolder) -> bool:
    """Whether the trace has changed since its run ended; not known of a run that was cut off or kept only some rows."""
    digest, keeps_all = folder.meta.trace_digest, folder.meta.trace == "all"
    return keeps_all and digest is not None and digest != folder.trace_digest()


def _value_lines(a: RunFolder, b: RunFolder) -> Iterator[str]:
    """The first values that differ, in bytes."""
    if not all((folder.path / _VALUES).exists() for folder in (a, b)):
        return
    values_a, values_b = (read_arrays(folder.path / _VALUES, 5) for folder in (a, b))
    pairs = enumerate(zip_longest(values_a, values_b))
    differing = next(((row, pair) for row, pair in pairs if pair[0] != pair[1]), None)
    if differing is not None:
        row, (ours, theirs) = differing
        yield f"values diverge at row {row}: {_entry_place(a, ours or theirs or _NOWHERE)}"
        yield from (f"  {folder.path}: {_shown(value)}" for folder, value in ((a, ours), (b, theirs)))
        yield from _first_byte(ours, theirs)
    elif a.read(_VALUES) != b.read(_VALUES):
        yield f"{_VALUES}: the same values, but written differently: one of the files is damaged"


def _place(folder: RunFolder, slot: int, turn: int, node: int, field: int) -> str:
    known = [f.name.lower() for f in TraceField]
    what = known[field] if field in range(len(known)) else f"field {field}"
    return f"slot {slot}, turn {turn}, {_name(folder.names, node)}, {what}"


def _entry_place(folder: RunFolder, entry: tuple[Any, ...]) -> str:
    """An entry's place; its raw fields if damage left no numbers there."""
    slot, turn, node, field = entry[:4]
    if all(type(number) is int for number in (slot, turn, node, field)):
        return _place(folder, slot, turn, node, field)
    return f"{entry[:4]} (damaged)"


def _name(names: list[str], node: int) -> str:
    if node == WORLD_NODE:
        return "the world"
    return f"node {names[node]}" if 0 <= node < len(names) else f"node number {node}"


def _shown(entry: tuple[Any, ...] | None) -> str:
    if entry is None:
        return "ends before"
    value = entry[4]
    if not isinstance(value, bytes):
        return f"{entry!r} (damaged)"
    more = "..." if len(value) > _SHOWN_VALUE_BYTES else ""
    return f"{len(value)} bytes {value[:_SHOWN_VALUE_BYTES].hex(' ')}{more}"


def _first_byte(ours: tuple[Any, ...] | None, theirs: tuple[Any, ...] | None) -> Iterator[str]:
    """The first byte in which two values of the same length differ."""
    a, b = (entry[4] if entry else b"" for entry in (ours, theirs))
    if isinstance(a, bytes) and isinstance(b, bytes):
        differing = next((i for i, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), None)
        if differing is not None:
            yield f"  first at byte {differing}: 0x{a[differing]:02x} against 0x{b[differing]:02x}"
