"""Figures of folders, whole or growing."""

from pathlib import Path

import pytest

from controller.run_folder.reader import RunFolder
from controller.service import queries as figures
from protocol.messages.kinds import Kind
from protocol.messages.telemetry import Event
from tests.airtoll.folders import air, finished, make, toll_windows, window


def test_windows_are_merged_within_their_phase(tmp_path: Path) -> None:
    told = [window(phase, 10 * n, 10 * n + 9, n, 1.0) for n, phase in enumerate(["train"] * 3 + ["eval"] * 2)]
    folder = make(tmp_path, told)
    (tmp_path / "metrics.csv").write_text((tmp_path / "metrics.csv").read_text().replace("rate", "reward_total"))
    merged = figures.metrics(folder, names=["reward_total"], windows=3)
    assert [(span.phase, span.first, span.last) for span in merged.windows] == [
        ("train", 0, 19),
        ("train", 20, 29),
        ("eval", 30, 49),
    ]
    assert merged.series["reward_total"].mean == [0.5, 2.0, 3.5]


def test_a_metric_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="colour"):
        figures.metrics(finished(tmp_path), names=["colour"])


def test_a_line_that_is_being_written_is_left_for_later(tmp_path: Path) -> None:
    folder = make(tmp_path, [])
    (tmp_path / "log.txt").write_text("one\ntwo\nthr")
    assert figures.log_lines(folder, after=0, limit=1) == (["one"], 4)
    assert figures.log_lines(folder, after=4, limit=9) == (["two"], 8)
    assert figures.log_lines(folder, after=8, limit=9) == ([], 8)


def test_the_toll_comes_in_so_many_windows_as_data(tmp_path: Path) -> None:
    rows = [air(n % 3, Kind(n % 3), slot=n % 4) for n in range(40)]
    folder = make(tmp_path, toll_windows(rows, window_slots=1))
    parts = figures.toll(folder, by="node", windows=2)
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
    told = {node["name"]: node for node in figures.nodes(make(tmp_path, events), slot=10)}
    assert {
        name: (node["present"], node["slots_missed"]) for name, node in told.items() if node["role"] == "agent"
    } == {
        "pair-0": (False, 7),
        "pair-1": (True, 3),
        "pair-2": (True, 0),
    }
    assert {node["role"] for node in told.values()} == {"agent", "network"}


def test_wires_of_a_run_without_any_are_empty(tmp_path: Path) -> None:
    assert figures.wire(RunFolder.open(make(tmp_path, []).path))["connections"] == []
