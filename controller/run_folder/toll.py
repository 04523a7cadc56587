"""The toll of a run in its folder: toll.csv, a row per window of slots, phase, node, kind of note and link class.

Rows with equal keys are parts of one count and are added. The file grows while the run does; readers read whole lines.
"""

import csv
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec
from msgspec import Struct

from controller.run_folder.files import DamagedFileError, lines_of, read_if_exists
from controller.run_folder.layout import TOLL
from protocol.accounting.toll import DeliveryStats, Toll
from protocol.messages.kinds import Kind, LinkClass
from protocol.messages.telemetry import TollWindow

TollKey = Literal["kind", "node", "link"]

_KEYS = ("phase", "first", "last", "node", "kind", "link")
TOLL_COLUMNS = (*_KEYS, *Toll.__struct_fields__, *DeliveryStats.__struct_fields__)
_TOLL = slice(len(_KEYS), len(_KEYS) + len(Toll.__struct_fields__))
_DELIVERY = slice(_TOLL.stop, len(TOLL_COLUMNS))
_KINDS = tuple(kind.name.lower() for kind in Kind)
_LINKS = tuple(link.name.lower() for link in LinkClass)

_SUMMARISED = ("notes", "payload_bits", "note_bytes")  # what a summary has of a toll
_Counts = TypeVar("_Counts", Toll, DeliveryStats)


class TollEntry(Struct, frozen=True, array_like=True, gc=False):
    """One row of toll.csv: what `node` sent of one kind over one link class in the slots first..last."""

    phase: str
    first: int
    last: int
    node: str
    kind: str
    link: str
    toll: Toll
    delivery: DeliveryStats


@dataclass(frozen=True)
class TollTable:
    """The toll of a run, finished or not. `names`: of all nodes by index; sums by node are in this order."""

    rows: tuple[TollEntry, ...]
    names: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path, names: Sequence[str]) -> "TollTable":
        """The toll in a run's folder, as far as it is written; empty without a file. DamagedFileError."""
        path = folder / TOLL
        data = read_if_exists(path)
        try:
            rows = list(csv.reader(lines_of(data[: data.rfind(b"\n") + 1])))
            if rows and tuple(rows[0]) != TOLL_COLUMNS:
                raise ValueError(f"its columns are not {','.join(TOLL_COLUMNS)}")
            nested = [[*row[: len(_KEYS)], row[_TOLL], row[_DELIVERY]] for row in rows[1:]]
            entries = msgspec.convert(nested, tuple[TollEntry, ...], strict=False)
            _check_names(entries, {"node": names, "kind": _KINDS, "link": _LINKS})
        except (ValueError, csv.Error, msgspec.ValidationError) as error:
            raise DamagedFileError(f"{path} is damaged: {error}") from error
        return cls(entries, tuple(names))

    def by(self, key: TollKey, phases: Collection[str] | None = None) -> dict[str, Toll]:
        """The toll per kind, node or link class, of these phases or of all; only what occurred."""
        return self._summed(self._of(phases), key, Toll, lambda row: row.toll)

    def delivery(self, key: TollKey, phases: Collection[str] | None = None) -> dict[str, DeliveryStats]:
        """What became of the notes of each kind, node or link class, likewise."""
        return self._summed(self._of(phases), key, DeliveryStats, lambda row: row.delivery)

    def spans(self, key: TollKey, max_windows: int) -> list[tuple[int, int, dict[str, Toll]]]:
        """First slot, last slot and toll of at most `max_windows` merged windows, in order.

        The run so far is cut into `max_windows` equal parts; the windows that begin in the same part are merged. Parts
        without notes are left out.
        """
        width = -(-self.slots // max_windows)
        parts: dict[int, list[TollEntry]] = {}
        for row in self.rows:
            parts.setdefault(row.first // width, []).append(row)
        return [
            (
                min(row.first for row in rows),
                max(row.last for row in rows),
                self._summed(rows, key, Toll, lambda row: row.toll),
            )
            for _, rows in sorted(parts.items())
        ]

    @property
    def slots(self) -> int:
        """The slot after the last window."""
        return max((row.last + 1 for row in self.rows), default=0)

    def _of(self, phases: Collection[str] | None) -> Iterable[TollEntry]:
        return self.rows if phases is None else [row for row in self.rows if row.phase in phases]

    def _summed(
        self, rows: Iterable[TollEntry], key: TollKey, counts: type[_Counts], part: Callable[[TollEntry], _Counts]
    ) -> dict[str, _Counts]:
        sums: dict[str, _Counts] = {}
        for row in rows:
            name = getattr(row, key)
            if name not in sums:
                sums[name] = counts()
            sums[name].add(part(row))
        order = {"kind": _KINDS, "node": self.names, "link": _LINKS}[key]
        return {name: sums[name] for name in order if name in sums}


def lines(window: TollWindow, names: Sequence[str]) -> bytes:
    """A window's rows as lines of toll.csv. `names`: of the nodes by index."""
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerows(
        (
            *(window.phase, window.first, window.last),
            *(names[row.source], _KINDS[row.kind], _LINKS[row.link]),
            *msgspec.structs.astuple(row.toll),
            *msgspec.structs.astuple(row.delivery),
        )
        for row in window.rows
    )
    return text.getvalue().encode()


def summarised(tolls: Mapping[str, Toll]) -> dict[str, dict[str, int]]:
    """What a summary has of tolls by name."""
    return {name: {field: getattr(toll, field) for field in _SUMMARISED} for name, toll in tolls.items()}


def summarised_delivery(stats: Mapping[str, DeliveryStats]) -> dict[str, dict[str, Any]]:
    """What a summary has of delivery statistics by name."""
    fields = ("attempts", "lost", "mean_age_slots", "max_age_slots")
    return {name: {field: getattr(of_name, field) for field in fields} for name, of_name in stats.items()}


def _check_names(entries: Iterable[TollEntry], known: Mapping[str, Collection[str]]) -> None:
    for key, names in known.items():
        if unknown := {getattr(entry, key) for entry in entries} - set(names):
            raise ValueError(f"no {key} is named {min(unknown)!r}")
