"""Tables and lines of results."""

from rich.console import Console

from airtoll.cli import tables

PACED = {
    "slot_ms": 10.0,
    "turns": {"pair-0": 500, "pair-1": 500, "pair-2": 400},
    "missed": {"pair-1": 1, "pair-2": 100},
    "late": {"pair-2": 25},
    "length_ms": {"mean": 10.0, "p50": 9.99, "p99": 11.0, "max": 14.25},
    "lateness_ms": {"mean": 0.1, "p50": 0.0, "p99": 1.0, "max": 4.25},
}


def test_missed_turns_are_listed_most_first() -> None:
    console = Console(width=100)
    with console.capture() as captured:
        console.print(tables.missed_turns(PACED))
    rows = [line.split() for line in captured.get().splitlines() if line.strip()]
    assert rows[-3:] == [
        ["pair-2", "400", "100", "25.00%", "25"],
        ["pair-1", "500", "1", "0.20%", "0"],
        ["all", "1,400", "101", "7.21%", "25"],
    ]


def test_slot_times_are_one_line() -> None:
    assert tables.paced(PACED) == (
        "slots of 10 ms lasted 10.00 (p50 9.99, p99 11.00, at most 14.25) ms; "
        "they began 0.10 (p50 0.00, p99 1.00, at most 4.25) ms late"
    )
