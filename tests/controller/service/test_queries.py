"""Queries on run folders, finished or growing."""

from pathlib import Path

import msgspec
import pytest

from controller.run_folder.folder import RunFolder
from controller.service import queries
from controller.service.queries import LogLines, TollAccounts
from protocol.accounting.air_book import encode_rows
from protocol.messages.kinds import Kind
from protocol.messages.telemetry import Chunk, Event, Scalars
from tests.airtoll.folders import air, finished, make, window


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


@pytest.mark.parametrize("by", ["kind", "node", "link"])
def test_the_toll_of_a_growing_book_is_that_of_the_whole(tmp_path: Path, by: queries.By) -> None:
    rows = [msgspec.structs.replace(air(n % 3, Kind(n % 3)), slot=n % 4) for n in range(40)]
    book = encode_rows(rows)
    growing, whole = make(tmp_path / "growing", []), make(tmp_path / "whole", [Chunk("air_book.msgpack", book)])
    accounts = TollAccounts()
    for start in range(0, len(book), 77):
        growing(Chunk("air_book.msgpack", book[start : start + 77]))
        accounts.toll(growing, by=by)
    told = accounts.toll(growing, by=by, windows=2)
    assert told == TollAccounts().toll(whole, by=by, windows=2)
    assert [(part["first"], part["last"]) for part in told] == [(0, 1), (2, 3)]
    assert sum(toll["notes"] for part in told for toll in part["tolls"].values()) == 40


def test_a_book_that_was_taken_back_is_read_anew(tmp_path: Path) -> None:
    folder = make(tmp_path, [Chunk("air_book.msgpack", encode_rows([air(0, Kind.CSI)] * 3))])
    accounts = TollAccounts()
    accounts.toll(folder, by="kind")
    (tmp_path / "air_book.msgpack").write_bytes(encode_rows([air(0, Kind.CSI)]))
    [part] = accounts.toll(folder, by="kind")
    assert part["tolls"]["csi"]["notes"] == 1


def test_a_damaged_book_is_told(tmp_path: Path) -> None:
    folder = make(tmp_path, [Chunk("air_book.msgpack", b"\xc0")])
    with pytest.raises(ValueError, match=r"air_book\.msgpack is damaged"):
        TollAccounts().toll(folder, by="kind")


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
    ]
    nodes = queries.nodes(make(tmp_path, reports), slot=10)
    assert [node.policy_version for node in nodes if node.role == "agent"] == [3, 2, None]


def test_the_wire_book_of_an_in_process_run_is_empty(tmp_path: Path) -> None:
    assert queries.wire(RunFolder.open(make(tmp_path, []).path)).connections == []
