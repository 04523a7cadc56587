"""The toll by kind, node and class of link, and its table."""

from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from airtoll import tables
from airtoll.toll import By, toll_by
from protocol.air_book import Toll, encode_rows
from protocol.kinds import Kind
from protocol.telemetry import Chunk
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


def test_a_nodes_own_rate_is_per_slot() -> None:
    tolls = {"pair-0": {"notes": 1, "note_bytes": 300, "payload_bits": 8}}
    lines = _text(tables.toll(tolls, by="node", slots=10, agents=3))
    assert ["pair-0", "1", "300", "8", "30", "100.0%"] in lines
    assert not [line for line in lines if "probes" in line]


def test_nothing_told_in_no_slots_has_no_rates() -> None:
    assert ["all", "0", "0", "0", "-", "-"] in _text(tables.toll({}, by="kind", slots=0, agents=3))


def _text(table: object) -> list[list[str]]:
    out = StringIO()
    Console(file=out, width=120).print(table)
    return [line.split() for line in out.getvalue().splitlines()]
