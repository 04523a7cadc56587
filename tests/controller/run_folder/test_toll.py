"""toll.csv and its reader: the sums of a run's air book, by kind, node, link class and phase."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import airtoll
from channel_server.core import Past
from controller.config.catalogue import schemes, worlds_of
from controller.config.resolved import load
from controller.config.schedule import span_at, spans
from controller.execution.in_process import run_in_process
from controller.run_folder.files import DamagedFileError
from controller.run_folder.reader import RunFolder
from controller.run_folder.toll import TOLL_COLUMNS, TollKey, TollTable
from controller.run_folder.writer import RunWriter
from protocol.accounting.air_book import AirRow
from protocol.accounting.toll import Toll
from protocol.messages.kinds import Kind, LinkClass
from tests.airtoll.folders import air, learning, make, toll_windows
from tests.conformance.homes import SMALL_NETWORKS, small
from tests.impairments import MODELS
from tests.plain_toll import grouped, plain_delivery, plain_toll

SENDING = sorted(name for name, scheme in schemes().items() if scheme.card.sends != "nothing")
_SLOTS = 90


def _config(scheme: str, model: str) -> dict[str, Any]:
    known = {field.name for field in fields(schemes()[scheme].params)}
    params = {key: value for key, value in SMALL_NETWORKS.items() if key in known}
    learns = schemes()[scheme].learns
    phases = {"phases": {"warmup": 20, "train": 40, "eval": 30}} if learns else {"slots": _SLOTS}
    return {
        **phases,
        "world": small(worlds_of(schemes()[scheme])[0]),
        "scheme": {"name": scheme} | params,
        "signalling": MODELS.get(model, "ideal"),
        "placement": "in-process",
        "record": {"window_slots": 25},
        "checkpoint_every": 35,
        "keep_checkpoints": 2,
    }


def _keys(folder: RunFolder) -> dict[TollKey, Callable[[AirRow], str]]:
    names = folder.names
    return {
        "kind": lambda row: Kind(row.kind).name.lower(),
        "node": lambda row: names[row.source],
        "link": lambda row: LinkClass(row.link).name.lower(),
    }


def _assert_is_the_air_books(folder: RunFolder) -> None:
    rows, over = list(folder.air_rows()), spans(folder.meta.schedule)
    by_phase = grouped(rows, lambda row: span_at(row.slot, over).phase)
    for key, name in _keys(folder).items():
        for phases, some in [(None, rows), *(([phase], of_phase) for phase, of_phase in by_phase.items())]:
            groups = grouped(some, name)
            assert folder.toll.by(key, phases) == {name: plain_toll(group) for name, group in groups.items()}
            assert folder.toll.delivery(key, phases) == {name: plain_delivery(group) for name, group in groups.items()}
        merged = folder.toll.spans(key, 2)
        assert len(merged) <= 2
        assert (
            sum(toll.payload_bits for _, _, tolls in merged for toll in tolls.values()) == plain_toll(rows).payload_bits
        )


@pytest.mark.parametrize("model", ["ideal", "all of it"])
@pytest.mark.parametrize("scheme", SENDING)
def test_it_is_the_sum_of_the_air_book_also_after_a_rollback(scheme: str, model: str, tmp_path: Path) -> None:
    airtoll.run(_config(scheme, model), folder=tmp_path / "run")
    folder = RunFolder.open(tmp_path / "run")
    _assert_is_the_air_books(folder)
    whole = folder.read("toll.csv")
    resolved = load(folder.config_file)
    writer = RunWriter(folder.path, resolved.config)
    kept, _ = folder.checkpoints.newest(at=35)
    assert kept is not None
    writer.roll_back(kept)
    assert len(folder.read("toll.csv")) < len(whole)
    past = Past(kept.slot, kept.channel_server, kept.nodes)
    run_in_process(resolved.plan_for(folder.meta.run_id), writer, past=past)
    assert folder.read("toll.csv") == whole
    _assert_is_the_air_books(folder)


def test_a_run_in_which_nothing_is_sent_has_no_toll(tmp_path: Path) -> None:
    table = make(tmp_path / "a", []).toll
    assert (table.rows, table.slots, table.by("node"), table.delivery("kind"), table.spans("kind", 9)) == (
        *((), 0, {}, {}),
        [],
    )


ROWS = [air(0, Kind.CSI), air(2, Kind.CSI, attempt=2), air(0, Kind.NEIGHBOUR, bits=8, size=1, copies=1)]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("kind", {"neighbour": Toll(1, 8, 1, 1, 1), "csi": Toll(1, 72, 10, 4, 20)}),
        ("node", {"pair-0": Toll(2, 44, 6, 3, 11), "pair-2": Toll(0, 36, 5, 2, 10)}),
        ("link", {"sidelink": Toll(2, 80, 11, 5, 21)}),
    ],
)
def test_the_toll_is_summed_by_each_key_in_its_order(tmp_path: Path, by: TollKey, expected: dict[str, Toll]) -> None:
    tolls = make(tmp_path / "a", toll_windows(ROWS)).toll.by(by)
    assert list(tolls.items()) == list(expected.items())


def test_phases_are_summed_apart(tmp_path: Path) -> None:
    rows = [air(0, Kind.CSI, slot=slot) for slot in (0, 2, 3, 5)]
    table = learning(tmp_path / "a", toll_windows(rows, ("train", 3), ("eval", 2))).toll
    assert [table.by("kind", [phase]) for phase in ("train", "eval", "warmup")] == [
        *({"csi": Toll(2, 72, 10, 4, 20)} for _ in range(2)),
        {},
    ]
    assert table.by("kind", ["train", "eval"]) == table.by("kind") == {"csi": Toll(4, 144, 20, 8, 40)}


def test_windows_are_merged_into_spans(tmp_path: Path) -> None:
    rows = [air(0, Kind.CSI, slot=slot) for slot in (0, 1, 6, 7, 19)]
    table = make(tmp_path / "a", toll_windows(rows, ("eval", 20), window_slots=2)).toll
    assert [(first, last, tolls["csi"].notes) for first, last, tolls in table.spans("kind", 100)] == [
        (0, 1, 2),
        (6, 7, 2),
        (18, 19, 1),
    ]
    assert [(first, last, tolls["pair-0"].notes) for first, last, tolls in table.spans("node", 2)] == [
        (0, 7, 4),
        (18, 19, 1),
    ]
    assert [span[:2] for span in table.spans("link", 1)] == [(0, 19)]


def test_of_a_growing_file_whole_lines_are_read(tmp_path: Path) -> None:
    rows = [air(n % 3, Kind(n % 3), slot=n % 4) for n in range(40)]
    folder = make(tmp_path / "a", toll_windows(rows, ("eval", 4), window_slots=1))
    whole, table = folder.read("toll.csv"), folder.toll
    for cut in range(0, len(whole), 7):
        (folder.path / "toll.csv").write_bytes(whole[:cut])
        assert folder.toll.rows == table.rows[: max(0, whole[:cut].count(b"\n") - 1)]
    assert sum(toll.notes for toll in table.by("kind").values()) == 40


@pytest.mark.parametrize(
    "data",
    [
        b"phase,first\n",
        b"\xff\n",
        f"{','.join(TOLL_COLUMNS)}\neval,0,9\n".encode(),
        f"{','.join(TOLL_COLUMNS)}\neval,0,9,pair-0,csi,sidelink,1,1,1,1,x,1,1,1,1,1\n".encode(),
        f"{','.join(TOLL_COLUMNS)}\neval,0,9,pair-0,gossip,sidelink,1,1,1,1,1,1,1,1,1,1\n".encode(),
        f"{','.join(TOLL_COLUMNS)}\neval,0,9,pair-9,csi,sidelink,1,1,1,1,1,1,1,1,1,1\n".encode(),
    ],
)
def test_a_damaged_file_is_reported(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "toll.csv").write_bytes(data)
    with pytest.raises(DamagedFileError, match=r"toll\.csv is damaged"):
        TollTable.read(tmp_path, ["pair-0"])
