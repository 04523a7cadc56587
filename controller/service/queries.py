"""What a run's folder says in numbers, while its run process still writes or later: metrics, toll, nodes, wires, log."""

import socket
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import msgspec

from controller.run_folder.reader import RunFolder, Scalar
from controller.run_folder.toll import TollKey
from protocol.accounting.wire_book import totals
from protocol.messages.telemetry import Window

MAX_WINDOWS = 1000


@dataclass(frozen=True)
class Series:
    """One metric over windows: sums, counts, and means where anything was counted."""

    unit: str
    sum: list[float]
    count: list[float]
    mean: list[float | None]


class Span(NamedTuple):
    """The slots `first` to `last`, inclusive, all of one phase."""

    phase: str
    first: int
    last: int


@dataclass(frozen=True)
class Metrics:
    """The metrics asked for over the same windows; what nodes reported of themselves, each at its slot."""

    windows: list[Span]
    series: dict[str, Series]
    scalars: list[Scalar]


def metrics(
    folder: RunFolder, *, names: list[str], first: int = 0, last: int | None = None, windows: int = MAX_WINDOWS
) -> Metrics:
    """Metrics by name (all, if none is named) over at most so many windows (more only where phases change).

    KeyError for a metric that the world does not have.
    """
    units = folder.meta.units
    if unknown := [name for name in names if name not in units]:
        raise KeyError(unknown[0])
    wanted = names or list(units)
    rows = [row for row in folder.windows() if _within(row, first, last)]
    groups = list(_grouped(rows, -(-len(rows) // windows) if rows else 1))
    return Metrics(
        windows=[Span(group[0].phase, group[0].first, group[-1].last) for group in groups],
        series={name: _series(groups, name, units[name]) for name in wanted},
        scalars=[told for told in folder.scalars() if first <= told.slot and (last is None or told.slot <= last)],
    )


def log_lines(folder: RunFolder, *, after: int, limit: int) -> tuple[list[str], int]:
    """Whole lines of log.txt from the byte `after` on, at most so many; the byte that the next ones begin at."""
    return folder.log_lines(after=after, limit=limit)


def wire(folder: RunFolder) -> dict[str, Any]:
    """Every connection's account, and their sums; empty before the run's end, and for runs in one process."""
    connections = folder.wire_book()
    return {"connections": msgspec.to_builtins(connections), "totals": msgspec.to_builtins(totals(connections))}


def toll(folder: RunFolder, *, by: TollKey, windows: int = 1) -> list[dict[str, Any]]:
    """The toll per kind, node or link class in at most so many windows; those without notes are left out.

    DamagedTollError.
    """
    return [
        {"first": first, "last": last, "tolls": {name: msgspec.structs.asdict(toll) for name, toll in tolls.items()}}
        for first, last, tolls in folder.toll.spans(by, windows)
    ]


def nodes(folder: RunFolder, slot: int) -> list[dict[str, Any]]:
    """Who takes part in a run that has come to `slot`: role, place, presence, slots missed, version of the weights.

    What is not at a worker is where the controller is, `host` and `fingerprint`.
    """
    meta = folder.meta
    lost, missed = _absences(folder, slot)
    versions = {told.node: int(told.value) for told in folder.scalars() if told.name == "policy_version"}
    at_trainer = "processes" if meta.placement == "pool" else meta.placement
    roles = ["agent"] * meta.agents + ["trainer"] + ["network"] * (len(meta.names) - meta.agents - 1)
    here = {"host": socket.gethostname(), "fingerprint": meta.fingerprint}
    nowhere = {"host": None, "fingerprint": None}
    return [
        {
            **(nowhere if meta.placement == "pool" and role != "trainer" else here),
            "name": name,
            "run": meta.run_id,
            "role": role,
            "place": {"network": "channel server", "trainer": at_trainer}.get(role, meta.placement),
            "present": name not in lost,
            "slots_missed": (missed if meta.missed is None else meta.missed).get(name, 0),
            "weights_version": versions.get(name),
        }
        for name, role in zip(meta.names, roles, strict=True)
        if role != "trainer" or meta.has_trainer
    ]


def _absences(folder: RunFolder, slot: int) -> tuple[set[str], dict[str, int]]:
    """Who is lost at a slot, and how many slots each has missed by then."""
    since: dict[str, int] = {}
    missed: dict[str, int] = defaultdict(int)
    for event in folder.events():
        if event.event == "lost":
            since[event.node] = event.slot
        elif event.event == "rejoined":
            missed[event.node] += event.slot - since.pop(event.node, event.slot)
    for name, first in since.items():
        missed[name] += max(0, slot - first)
    return set(since), dict(missed)


def _series(groups: list[list[Window]], name: str, unit: str) -> Series:
    sums = [sum(row.sums[name] for row in group) for group in groups]
    counts = [sum(row.counts[name] for row in group) for group in groups]
    means = [total / count if count else None for total, count in zip(sums, counts, strict=True)]
    return Series(unit, sums, counts, means)


def _grouped(rows: list[Window], size: int) -> Iterator[list[Window]]:
    """Neighbouring windows of one phase, `size` at a time."""
    group: list[Window] = []
    for row in rows:
        if group and (len(group) == size or group[0].phase != row.phase):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _within(row: Window, first: int, last: int | None) -> bool:
    return row.last >= first and (last is None or row.first <= last)
