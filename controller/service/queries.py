"""What a run's folder says in numbers, while its run process still writes or later: metrics, toll, nodes, wires, log."""

import csv
import json
import socket
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from controller.run_folder.folder import RunFolder, Scalar
from controller.run_folder.toll import TollKey
from protocol.accounting.wire_book import Connection, totals

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
    units = folder.config.units
    if unknown := [name for name in names if name not in units]:
        raise KeyError(unknown[0])
    wanted = names or list(units)
    rows = [row for row in _whole_rows(folder.path / "metrics.csv") if _within(row, first, last)]
    groups = list(_grouped(rows, -(-len(rows) // windows) if rows else 1))
    return Metrics(
        windows=[Span(group[0]["phase"], int(group[0]["first"]), int(group[-1]["last"])) for group in groups],
        series={name: _series(groups, name, units[name]) for name in wanted},
        scalars=[told for told in _scalars(folder) if first <= told.slot and (last is None or told.slot <= last)],
    )


def log_lines(folder: RunFolder, *, after: int, limit: int) -> tuple[list[str], int]:
    """Whole lines of log.txt from the byte `after` on, at most so many; the byte that the next ones begin at."""
    data = folder.read("log.txt")[after:]
    lines = data[: data.rfind(b"\n") + 1].splitlines(keepends=True)[:limit]
    return [line.decode(errors="replace").rstrip("\n") for line in lines], after + sum(map(len, lines))


def wire(folder: RunFolder) -> dict[str, Any]:
    """Every connection's account, and their sums; empty before the run's end, and for runs in one process."""
    connections = msgspec.json.decode(folder.read("wire_book.json") or b"[]", type=list[Connection])
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
    config, meta = folder.config, folder.meta
    lost, missed = _absences(folder, slot)
    versions = {told.node: int(told.value) for told in _scalars(folder) if told.name == "version"}
    has_trainer = config.plan(meta["run_id"]).choreography.has_trainer
    at_trainer = "processes" if config.placement == "pool" else config.placement
    roles = ["agent"] * config.agents + ["trainer"] + ["network"] * (len(folder.names) - config.agents - 1)
    here = {"host": socket.gethostname(), "fingerprint": meta.get("fingerprint")}
    nowhere = {"host": None, "fingerprint": None}
    return [
        {
            **(nowhere if config.placement == "pool" and role != "trainer" else here),
            "name": name,
            "run": meta["run_id"],
            "role": role,
            "place": {"network": "channel server", "trainer": at_trainer}.get(role, config.placement),
            "present": name not in lost,
            "slots_missed": meta.get("missed", missed).get(name, 0),
            "weights_version": versions.get(name),
        }
        for name, role in zip(folder.names, roles, strict=True)
        if role != "trainer" or has_trainer
    ]


def _absences(folder: RunFolder, slot: int) -> tuple[set[str], dict[str, int]]:
    """Who is lost at a slot, and how many slots each has missed by then."""
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


def _series(groups: list[list[dict[str, str]]], name: str, unit: str) -> Series:
    sums = [sum(float(row[f"{name}_sum"]) for row in group) for group in groups]
    counts = [sum(float(row[f"{name}_count"]) for row in group) for group in groups]
    means = [total / count if count else None for total, count in zip(sums, counts, strict=True)]
    return Series(unit, sums, counts, means)


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


def _scalars(folder: RunFolder) -> list[Scalar]:
    rows = csv.DictReader(_whole_lines(folder.path / "scalars.csv"))
    return [Scalar(int(row["slot"]), row["node"], row["name"], float(row["value"])) for row in rows]


def _whole_rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(_whole_lines(path)))


def _whole_lines(path: Path) -> list[str]:
    """The lines of a file that may be growing; none if it is not there yet."""
    if not path.exists():
        return []
    data = path.read_bytes()
    return data[: data.rfind(b"\n") + 1].decode().splitlines()
