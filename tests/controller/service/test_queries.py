"""Queries on run folders, finished or growing."""

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.run_folder.reader import RunFolder
from controller.run_folder.status import RunStatus, State
from controller.service import queries
from controller.service.queries import LogLines
from controller.service.store import Run
from protocol.messages.kinds import Kind
from protocol.messages.telemetry import Event, Scalars
from tests.airtoll.folders import air, finished, make, toll_windows, window


def test_windows_are_merged_within_their_phase(tmp_path: Path) -> None:
    windows = [window(phase, 10 * n, 10 * n + 9, n, 1.0) for n, phase in enumerate(["train"] * 3 + ["eval"] * 2)]
    folder = make(tmp_path, windows)
    (tmp_path / "metrics.csv").write_text((tmp_path / "metrics.csv").read_text().replace("rate", "reward_total"))
    merged = queries.metrics(folder, names=["reward_total"], windows=3)
    assert [(one.phase, one.first, one.last) for one in merged.windows] == [
        ("train", 0, 19),
        ("train", 20, 29),
        ("eval", 30, 49),
    ]
    assert merged.series["reward_total"].mean == [0.5, 2.0, 3.5]


def test_an_unknown_metric_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="colour"):
        queries.metrics(finished(tmp_path), names=["colour"])


def test_an_incomplete_line_is_left_for_later(tmp_path: Path) -> None:
    folder = make(tmp_path, [])
    (tmp_path / "log.txt").write_text("one\ntwo\nthr")
    assert queries.log_lines(folder, after=0, limit=1) == LogLines(["one"], 4)
    assert queries.log_lines(folder, after=4, limit=9) == LogLines(["two"], 8)
    assert queries.log_lines(folder, after=8, limit=9) == LogLines([], 8)


def test_the_toll_comes_in_so_many_windows_as_data(tmp_path: Path) -> None:
    rows = [air(n % 3, Kind(n % 3), slot=n % 4) for n in range(40)]
    folder = make(tmp_path, toll_windows(rows, window_slots=1))
    parts = queries.toll(folder, by="node", windows=2)
    assert [(part["first"], part["last"], list(part["tolls"])) for part in parts] == [
        (first, last, ["pair-0", "pair-1", "pair-2"]) for first, last in [(0, 1), (2, 3)]
    ]
    assert sum(toll["notes"] for part in parts for toll in part["tolls"].values()) == 40
    assert sorted(parts[0]["tolls"]["pair-0"]) == ["copies", "copy_bytes", "note_bytes", "notes", "payload_bits"]


def test_nodes_are_lost_and_come_back(tmp_path: Path) -> None:
    events = [
        Event("lost", 2, 0, "pair-1", ""),
        Event("lost", 3, 0, "pair-0", ""),
        Event("rejoined", 5, 0, "pair-1", ""),
    ]
    nodes = queries.nodes(make(tmp_path, events), slot=10)
    assert {node.name: (node.present, node.slots_missed) for node in nodes if node.role == "agent"} == {
        "pair-0": (False, 7),
        "pair-1": (True, 3),
        "pair-2": (True, 0),
    }
    assert {node.role for node in nodes} == {"agent", "network"}


def test_a_node_has_the_newest_policy_version_that_it_reported(tmp_path: Path) -> None:
    reports = [
        Scalars(4, "pair-0", {"policy_version": 1.0, "loss": 0.5}),
        Scalars(8, "pair-1", {"policy_version": 2.0}),
        Scalars(9, "pair-0", {"policy_version": 3.0}),
        Scalars(9, "pair-1", {"policy_version": float("nan")}),
    ]
    nodes = queries.nodes(make(tmp_path, reports), slot=10)
    assert [node.policy_version for node in nodes if node.role == "agent"] == [3, 2, None]


def test_the_wire_book_of_an_in_process_run_is_empty(tmp_path: Path) -> None:
    assert queries.wire(RunFolder.open(make(tmp_path, []).path)).connections == []


@pytest.mark.parametrize(
    ("state", "stored_reason", "shown"),
    [
        (State.RUNNING, "", (12, "waits for lost nodes to come back: pair-1")),
        (State.RUNNING, "lacks 1 agent", (12, "lacks 1 agent")),
        (State.STOPPED, "", (9, "")),
    ],
)
def test_the_reason_of_an_active_run_is_what_it_waits_for(
    tmp_path: Path, state: State, stored_reason: str, shown: tuple[int, str]
) -> None:
    RunStatus(State.RUNNING, 12, waiting="waits for lost nodes to come back: pair-1").write(tmp_path)
    run = Run(
        id="r",
        world="d2d_underlay",
        scheme="li2020/sla",
        seed=1,
        slots=20,
        config={},
        folder=tmp_path,
        created=datetime.now(UTC),
    )
    live = queries.with_live_status(replace(run, state=state, slot=9, reason=stored_reason))
    assert (live.slot, live.reason) == shown
