"""The toll by kind, node and class of link, and its table."""

from io import StringIO
from pathlib import Path

import pytest
from msgspec import structs
from rich.console import Console

from airtoll.analysis.toll import By, toll_by
from airtoll.cli import tables
from controller.run_folder.folder import Scalar
from protocol.accounting.air_book import Outcome, Toll, encode_rows
from protocol.messages.kinds import Kind
from protocol.messages.plan import PhasePlan
from protocol.messages.telemetry import Chunk
from tests.airtoll.folders import air, make

ROWS = [air(0, Kind.CSI), air(2, Kind.CSI, attempt=2), air(0, Kind.NEIGHBOUR, bits=8, size=1, copies=1)]


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        (By.KIND, {"neighbour": Toll(1, 8, 1, 1, 1), "csi": Toll(1, 72, 10, 4, 20)}),
        (By.NODE, {"pair-0": Toll(2, 44, 6, 3, 11), "pair-2": Toll(0, 36, 5, 2, 10)}),
        (By.LINK, {"sidelink": Toll(2, 80, 11, 5, 21)}),
    ],
)
def test_the_toll_is_summed(tmp_path: Path, by: By, expected: dict[str, Toll]) -> None:
    assert toll_by(make(tmp_path / "a", [Chunk("air_book.msgpack", encode_rows(ROWS))]), by) == expected


def test_a_silent_run_has_no_toll(tmp_path: Path) -> None:
    assert toll_by(make(tmp_path / "a", []), By.NODE) == {}


def test_the_table_has_rates_shares_a_sum_and_probes() -> None:
    tolls = {
        "csi": {"notes": 1500, "note_bytes": 300, "payload_bits": 750},
        "ack": {"notes": 5, "note_bytes": 0, "payload_bits": 250},
    }
    lines = _text(tables.toll(tolls, by="kind", slots=10, agents=3, probes=12))
    assert ["csi", "1,500", "300", "750", "10", "75.0%"] in lines
    assert ["ack", "5", "0", "250", "0", "25.0%"] in lines
    assert ["all", "1,505", "300", "1,000", "10", "100.0%"] in lines
    assert ["probes", "12", "-", "-", "-", "-"] in lines


def test_what_a_signalling_model_did_is_summed(tmp_path: Path) -> None:
    rows = [
        structs.replace(air(0, Kind.CSI), until=3),
        structs.replace(air(2, Kind.CSI, attempt=2, copies=1), until=1, outcome=Outcome.LOST),
        structs.replace(air(0, Kind.CSI, copies=0), until=9, outcome=Outcome.LOST),
        structs.replace(air(0, Kind.CSI, attempt=2), until=9, repeated=True),
        structs.replace(air(0, Kind.CSI, attempt=0, copies=-1), until=9, outcome=Outcome.UNREAD),
        structs.replace(air(0, Kind.ACK, copies=0), outcome=Outcome.CUT),
    ]
    told = [Chunk("air_book.msgpack", encode_rows(rows))]
    folder = make(tmp_path / "late", told, signalling={"all": {"loss": 0.5}})
    fates = folder.fates()
    assert fates["csi"] == {"attempts": 4, "lost": 2, "mean_age_slots": 2.0, "largest_age_slots": 3}
    lines = _text(tables.fates(fates))
    assert ["csi", "4", "2", "2.00", "3"] in lines
    assert ["ack", "1", "0", "-", "-"] in lines
    assert make(tmp_path / "ideal", told).fates() == {}


def test_a_nodes_own_rate_is_per_slot() -> None:
    tolls = {"pair-0": {"notes": 1, "note_bytes": 300, "payload_bits": 8}}
    lines = _text(tables.toll(tolls, by="node", slots=10, agents=3))
    assert ["pair-0", "1", "300", "8", "30", "100.0%"] in lines
    assert not [line for line in lines if "probes" in line]


def test_nothing_told_in_no_slots_has_no_rates() -> None:
    assert ["all", "0", "0", "0", "-", "-"] in _text(tables.toll({}, by="kind", slots=0, agents=3))


def test_training_and_execution_are_told_apart_over_their_own_slots() -> None:
    by_phase = {
        "warmup": {"history": {"notes": 1, "note_bytes": 60, "payload_bits": 8}},
        "train": {
            "weights": {"notes": 1, "note_bytes": 120, "payload_bits": 8},
            "history": {"notes": 2, "note_bytes": 60, "payload_bits": 16},
        },
        "eval": {},
    }
    schedule = (PhasePlan("warmup", 2), PhasePlan("train", 4), PhasePlan("eval", 9))
    training, execution = map(_text, tables.toll_of_learning(by_phase, schedule=schedule, slots=10, agents=2, probes=5))
    assert training[0] == ["toll", "of", "training", "(warmup", "and", "train),", "6", "slots"]
    assert ["history", "3", "120", "24", "10", "75.0%"] in training
    assert [line[0] for line in training if line][3:] == ["history", "weights", "all"]
    assert execution[0] == ["toll", "of", "execution", "(eval),", "4", "slots"]
    assert ["all", "0", "0", "0", "0", "-"] in execution
    assert not [line for line in training if "probes" in line]
    assert ["probes", "5", "-", "-", "-", "-"] in execution


def test_the_newest_weights_are_told_if_there_are_some() -> None:
    told = [
        Scalar(1, "trainer", "updates", 5.0),
        Scalar(2, "trainer", "policy_version", 1.0),
        Scalar(2, "pair-0", "updates", 1.0),
    ]
    assert tables.weights([*told, Scalar(9, "trainer", "updates", 1500.0)]) == "policy: version 1 after 1,500 updates"
    assert tables.weights(told[:1]) is None


def _text(table: object) -> list[list[str]]:
    out = StringIO()
    Console(file=out, width=120).print(table)
    return [line.split() for line in out.getvalue().splitlines()]
