"""Queries on a run's folder, while the run plays or later: metrics, toll, nodes, wire book, log."""

import csv
import json
import socket
from collections import OrderedDict, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

import msgpack
import msgspec
from pydantic import ConfigDict

from controller.config.catalogue import scheme_named
from controller.config.layers import parse_yaml
from controller.run_folder.folder import RunFolder
from controller.run_folder.status import ENDS, RunStatus, State
from controller.service.limits import MAX_WINDOWS
from controller.service.store import ANSWER, Run
from protocol.accounting.air_book import AirRow, Toll
from protocol.accounting.wire_book import Connection, totals
from protocol.messages.kinds import Kind, LinkClass

By = Literal["kind", "node", "link"]
Role = Literal["agent", "trainer", "network"]
_PIECE_BYTES = 1 << 20
_MAX_ACCOUNTS = 16


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


def current_slot(run: Run) -> int:
    """The completed slots of a run, from its status file while it is at work."""
    if run.state in ENDS or run.state is State.PENDING:
        return run.slot
    status = RunStatus.read(run.folder)
    return status.slot if status else 0


def with_current_slot(run: Run) -> Run:
    """A run as the index has it, with its current slot. It reads a file: call it from a thread."""
    return replace(run, slot=current_slot(run))


def metrics(
    folder: RunFolder, *, names: list[str], first: int = 0, last: int | None = None, windows: int = MAX_WINDOWS
) -> Metrics:
    """Metrics by name (all, if none is named) over at most so many windows (more only where phases change).

    KeyError for a metric that the world does not have.
    """
    units = folder.config.units
    if unknown := [name for name in names if name not in units]:
        raise KeyError(unknown[0])
    wanted = names or list(units)
    rows = [row for row in _whole_rows(folder.path / "metrics.csv") if _within(row, first, last)]
    groups = list(_grouped(rows, -(-len(rows) // windows) if rows else 1))
    return Metrics(
        windows=[WindowBounds(group[0]["phase"], int(group[0]["first"]), int(group[-1]["last"])) for group in groups],
        series={name: _series(groups, name, units[name]) for name in wanted},
        scalars=[row for row in _scalars(folder) if first <= row.slot and (last is None or row.slot <= last)],
    )


def log_lines(folder: RunFolder, *, after: int, limit: int) -> LogLines:
    """Whole lines of log.txt from the byte `after` on, at most so many."""
    data = folder.read("log.txt")[after:]
    lines = data[: data.rfind(b"\n") + 1].splitlines(keepends=True)[:limit]
    return LogLines([line.decode(errors="replace").rstrip("\n") for line in lines], after + sum(map(len, lines)))


def wire(folder: RunFolder) -> WireAccounts:
    """The wire book; empty before the run's end, and for in-process runs."""
    connections = msgspec.json.decode(folder.read("wire_book.json") or b"[]", type=list[Connection])
    return WireAccounts(msgspec.to_builtins(connections), msgspec.to_builtins(totals(connections)))


class TollAccounts:
    """The toll of the runs that were asked for last, kept as far as their air books have been read."""

    def __init__(self) -> None:
        self._accounts: OrderedDict[Path, TollAccount] = OrderedDict()

    def toll(self, folder: RunFolder, *, by: By, windows: int = 1) -> list[dict[str, Any]]:
        """The toll per kind, node or link in at most so many windows of equal length.

        ValueError for a damaged air book.
        """
        account = self._accounts.pop(folder.path, None) or TollAccount(folder)
        told = account.toll(by, windows)
        self._accounts[folder.path] = account
        if len(self._accounts) > _MAX_ACCOUNTS:
            self._accounts.popitem(last=False)
        return told


@dataclass
class TollAccount:
    """The toll of one run in MAX_WINDOWS parts at most; each row of the air book is read once."""

    folder: RunFolder
    _names: list[str] = field(init=False)
    _slots: int = field(init=False)
    _width: int = field(init=False)

    def __post_init__(self) -> None:
        self._names = self.folder.names
        self._slots = sum(phase.slots for phase in self.folder.config.schedule)
        self._width = -(-self._slots // MAX_WINDOWS)
        self._begin()

    def _begin(self) -> None:
        self._read = 0
        self._unpacker = msgpack.Unpacker(max_buffer_size=0, use_list=False)
        self._parts: dict[By, dict[int, dict[str, Toll]]] = {
            by: defaultdict(lambda: defaultdict(Toll)) for by in ("kind", "node", "link")
        }

    def toll(self, by: By, windows: int) -> list[dict[str, Any]]:
        """What has been told by now; windows in which nothing was told are left out."""
        self._catch_up()
        return list(self._merged(by, windows))

    def _merged(self, by: By, windows: int) -> Iterator[dict[str, Any]]:
        parts = -(-self._slots // self._width)
        step = -(-parts // windows)
        merged: dict[int, dict[str, Toll]] = defaultdict(lambda: defaultdict(Toll))
        for part, tolls in self._parts[by].items():
            for name, toll in tolls.items():
                _add(merged[part // step][name], toll)
        for window, tolls in sorted(merged.items()):
            first = window * step * self._width
            last = min(self._slots, first + step * self._width) - 1
            told = {name: msgspec.structs.asdict(tolls[name]) for name in self._order(by) if name in tolls}
            yield {"first": first, "last": last, "tolls": told}

    def _order(self, by: By) -> list[str]:
        match by:
            case "kind":
                return [kind.name.lower() for kind in Kind]
            case "link":
                return [link.name.lower() for link in LinkClass]
            case "node":
                return self._names

    def _catch_up(self) -> None:
        path = self.folder.path / "air_book.msgpack"
        if not path.exists():
            return
        if path.stat().st_size < self._read:  # the run was taken back to a checkpoint
            self._begin()
        with path.open("rb") as book:
            book.seek(self._read)
            while piece := book.read(_PIECE_BYTES):
                self._read += len(piece)
                self._unpacker.feed(piece)
                for row in self._unpacker:
                    self._book(row)

    def _book(self, told: Any) -> None:
        try:
            row = msgspec.convert(told, AirRow)
        except msgspec.ValidationError as error:
            raise ValueError(f"{self.folder.path / 'air_book.msgpack'} is damaged: {error}") from error
        part = min(row.slot, self._slots - 1) // self._width  # the closing turn belongs to the last slot
        self._parts["kind"][part][row.kind.name.lower()].add(row)
        self._parts["node"][part][self._names[row.source]].add(row)
        self._parts["link"][part][LinkClass(row.link).name.lower()].add(row)


def nodes(folder: RunFolder, slot: int) -> list[NodeInfo]:
    """The nodes of a run that has completed `slot` slots, in their order."""
    meta, placement = folder.meta, _settings(folder)["placement"]
    roles = [_role(index, meta["agents"]) for index in range(len(meta["names"]))]
    at_trainer = "processes" if placement == "pool" else placement
    placements: dict[Role, str] = {"agent": placement, "trainer": at_trainer, "network": "channel server"}
    lost, missed = _absences(folder, slot)
    policy_versions = {row.node: int(row.value or 0) for row in _scalars(folder) if row.name == "policy_version"}
    at_controller = {role for role in placements if placement != "pool" or role == "trainer"}
    return [
        NodeInfo(
            name=name,
            run=meta["run_id"],
            role=role,
            placement=placements[role],
            present=name not in lost,
            slots_missed=meta.get("missed", missed).get(name, 0),
            policy_version=policy_versions.get(name),
            host=socket.gethostname() if role in at_controller else None,
            fingerprint=meta.get("fingerprint") if role in at_controller else None,
        )
        for name, role in zip(meta["names"], roles, strict=True)
        if role != "trainer" or has_trainer(folder)
    ]


def _role(index: int, agents: int) -> Role:
    """A node's role by its index: first come the agents, then the trainer, then the parts of the network."""
    if index < agents:
        return "agent"
    return "trainer" if index == agents else "network"


def has_trainer(folder: RunFolder) -> bool:
    """Whether a run has a trainer at the BS/cloud."""
    name, parameters = _settings(folder)["scheme"], dict[str, Any]()
    if not isinstance(name, str):
        parameters = dict(name)
        name = parameters.pop("name")
    scheme = scheme_named(name)
    return scheme.choreography(scheme.params(**parameters)).has_trainer


def _settings(folder: RunFolder) -> Any:
    """The resolved configuration as a mapping, which needs no world to be built."""
    return parse_yaml(folder.read("config.yaml").decode())


def _absences(folder: RunFolder, slot: int) -> tuple[set[str], dict[str, int]]:
    """The nodes that are lost at a slot, and how many slots each node has missed by then."""
    since: dict[str, int] = {}
    missed: dict[str, int] = defaultdict(int)
    for row in _whole_lines(folder.path / "events.jsonl"):
        event = json.loads(row)
        if event["event"] == "lost":
            since[event["node"]] = event["slot"]
        elif event["event"] == "rejoined":
            missed[event["node"]] += event["slot"] - since.pop(event["node"], event["slot"])
    for name, first in since.items():
        missed[name] += max(0, slot - first)
    return set(since), dict(missed)


def _add(to: Toll, toll: Toll) -> None:
    for name in Toll.__struct_fields__:
        setattr(to, name, getattr(to, name) + getattr(toll, name))


def _series(groups: list[list[dict[str, str]]], name: str, unit: str) -> MetricSeries:
    sums = [sum(float(row[f"{name}_sum"]) for row in group) for group in groups]
    counts = [sum(float(row[f"{name}_count"]) for row in group) for group in groups]
    means = [total / count if count else None for total, count in zip(sums, counts, strict=True)]
    return MetricSeries(unit, sums, counts, means)


def _grouped(rows: list[dict[str, str]], size: int) -> Iterator[list[dict[str, str]]]:
    """Neighbouring windows of one phase, `size` at a time."""
    group: list[dict[str, str]] = []
    for row in rows:
        if group and (len(group) == size or group[0]["phase"] != row["phase"]):
            yield group
            group = []
        group.append(row)
    if group:
        yield group


def _within(row: dict[str, str], first: int, last: int | None) -> bool:
    return int(row["last"]) >= first and (last is None or int(row["first"]) <= last)


def _scalars(folder: RunFolder) -> list[ReportedScalar]:
    rows = csv.DictReader(_whole_lines(folder.path / "scalars.csv"))
    return [ReportedScalar(int(row["slot"]), row["node"], row["name"], float(row["value"])) for row in rows]


def _whole_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(_whole_lines(path)))


def _whole_lines(path: Path) -> list[str]:
    """The whole lines of a file that may be growing; none if it does not exist yet."""
    if not path.exists():
        return []
    data = path.read_bytes()
    return data[: data.rfind(b"\n") + 1].decode().splitlines()
