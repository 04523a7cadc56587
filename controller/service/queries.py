"""Queries on a run's folder, while the run is running or later: metrics, toll, nodes, wire book, log."""

import math
import socket
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, ClassVar, Literal

import msgspec
from pydantic import ConfigDict

from controller.run_folder.files import DamagedFileError
from controller.run_folder.reader import NotARunError, RunFolder
from controller.run_folder.status import FINAL_STATES, RunStatus, State
from controller.run_folder.toll import TollKey
from controller.service.limits import MAX_WINDOWS
from controller.service.store import ANSWER, Run
from protocol.accounting.wire_book import totals
from protocol.messages.telemetry import Window

Role = Literal["agent", "trainer", "network"]


@dataclass(frozen=True)
class MetricSeries:
    """One metric: a value per window; a mean is null where nothing was counted."""

    unit: str
    sum: list[float]
    count: list[float]
    mean: list[float | None]


@dataclass(frozen=True)
class WindowBounds:
    """The slots `first` to `last`, inclusive, all of one phase."""

    phase: str
    first: int
    last: int


@dataclass(frozen=True)
class ReportedScalar:
    """A scalar that a node reported."""

    slot: int
    node: str
    name: str
    value: float | None


@dataclass(frozen=True)
class Metrics:
    """Metrics over windows of slots, and the scalars that nodes reported within them."""

    windows: list[WindowBounds]
    series: dict[str, MetricSeries]
    scalars: list[ReportedScalar]


@dataclass(frozen=True)
class LogLines:
    """Lines of the log; `next` is the `after` of the lines that follow."""

    lines: list[str]
    next: int


@dataclass(frozen=True)
class WireAccounts:
    """The wire book: an account per connection, and their sums."""

    connections: list[dict[str, Any]]
    totals: dict[str, int]


@dataclass(frozen=True)
class NodeInfo:
    """A node of a run.

    `policy_version`: the number of the policy that it acts by, or that the trainer sent last; null if it reported none.
    `worker`, `host`, `fingerprint`, `last_seen`: of a node in the pool, its worker's, null while it has none; of
    another node, the controller's host and fingerprint.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ANSWER

    name: str
    run: str
    role: Role
    placement: str
    present: bool
    slots_missed: int
    policy_version: int | None
    worker: str | None = None
    host: str | None = None
    fingerprint: dict[str, str] | None = None
    last_seen: datetime | None = None


class FolderGoneError(Exception):
    """A run's folder, or a file that it must have, is gone: removed by hand, or just deleted with the run."""


def open_folder(run: Run) -> RunFolder:
    """The folder of a run. FolderGoneError."""
    try:
        return RunFolder.open(run.folder)
    except NotARunError as error:
        raise FolderGoneError(f"the folder of {run.id} is gone, and its results with it: {error}") from error


def current_slot(run: Run) -> int:
    """The completed slots of a run, from its status file while it is active."""
    return with_live_status(run).slot


def with_live_status(run: Run) -> Run:
    """A run as the index has it, with its current slot; its reason, if it has no other, is what it waits for and what
    is to be known of its results so far.

    It reads a file: call it from a thread.
    """
    if run.state in FINAL_STATES or run.state is State.PENDING:
        return run
    try:
        status = RunStatus.read(run.folder)
    except DamagedFileError as damage:
        return replace(run, reason=run.reason or str(damage))
    if status is None:
        return run
    live = "; ".join(filter(None, (status.waiting, status.remarks)))
    return replace(run, slot=status.slot, reason=run.reason or live)


def metrics(
    folder: RunFolder, *, names: list[str], first: int = 0, last: int | None = None, windows: int = MAX_WINDOWS
) -> Metrics:
    """Metrics by name (all, if none is named) over at most so many windows (more only where phases change).

    KeyError for a metric that the world does not have.
    """
    units = folder.meta.units
    if unknown := [name for name in names if name not in units]:
        raise KeyError(unknown[0])
    rows = [row for row in folder.windows() if row.last >= first and (last is None or row.first <= last)]
    groups = list(_grouped(rows, -(-len(rows) // windows) if rows else 1))
    return Metrics(
        windows=[WindowBounds(group[0].phase, group[0].first, group[-1].last) for group in groups],
        series={name: _series(groups, name, units[name]) for name in names or units},
        scalars=[
            ReportedScalar(*row) for row in folder.scalars() if first <= row.slot and (last is None or row.slot <= last)
        ],
    )


def log_lines(folder: RunFolder, *, after: int, limit: int) -> LogLines:
    """Whole lines of log.txt from the byte `after` on, at most so many."""
    return LogLines(*folder.log_lines(after=after, limit=limit))


def wire(folder: RunFolder) -> WireAccounts:
    """The wire book; empty before the run's end, and for in-process runs."""
    connections = folder.wire_book()
    return WireAccounts(msgspec.to_builtins(connections), msgspec.to_builtins(totals(connections)))


def toll(folder: RunFolder, *, by: TollKey, windows: int = 1) -> list[dict[str, Any]]:
    """The toll per kind, node or link class in at most so many windows; those without notes are left out.

    DamagedFileError.
    """
    return [
        {"first": first, "last": last, "tolls": {name: msgspec.structs.asdict(toll) for name, toll in tolls.items()}}
        for first, last, tolls in folder.toll.spans(by, windows)
    ]


def nodes(folder: RunFolder, slot: int) -> list[NodeInfo]:
    """The nodes of a run that has completed `slot` slots, in their order."""
    meta = folder.meta
    at_trainer = "processes" if meta.placement == "pool" else meta.placement
    placements: dict[Role, str] = {"agent": meta.placement, "trainer": at_trainer, "network": "channel server"}
    lost, missed = _absences(folder, slot)
    policy_versions = {
        row.node: int(row.value)
        for row in folder.scalars()
        if row.name == "policy_version" and math.isfinite(row.value)
    }
    at_controller = {role for role in placements if meta.placement != "pool" or role == "trainer"}
    roles = [_role(index, meta.agents) for index in range(len(meta.names))]
    return [
        NodeInfo(
            name=name,
            run=meta.run_id,
            role=role,
            placement=placements[role],
            present=name not in lost,
            slots_missed=(missed if meta.missed is None else meta.missed).get(name, 0),
            policy_version=policy_versions.get(name),
            host=socket.gethostname() if role in at_controller else None,
            fingerprint=meta.fingerprint if role in at_controller else None,
        )
        for name, role in zip(meta.names, roles, strict=True)
        if role != "trainer" or meta.has_trainer
    ]


def _role(index: int, agents: int) -> Role:
    """A node's role by its index: first come the agents, then the trainer, then the parts of the network."""
    if index < agents:
        return "agent"
    return "trainer" if index == agents else "network"


def _absences(folder: RunFolder, slot: int) -> tuple[set[str], dict[str, int]]:
    """The nodes that are lost at a slot, and how many slots each node has missed by then."""
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


def _series(groups: list[list[Window]], name: str, unit: str) -> MetricSeries:
    sums = [sum(row.sums[name] for row in group) for group in groups]
    counts = [sum(row.counts[name] for row in group) for group in groups]
    means = [total / count if count else None for total, count in zip(sums, counts, strict=True)]
    return MetricSeries(unit, sums, counts, means)


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
