"""Tables and lines of results."""

from typing import Any

import pytest
from rich.console import Console

from airtoll.analysis.baselines import comparison
from airtoll.cli import controller_tables, output, tables
from controller.execution.comparison import compared
from controller.run_folder.overhead import overhead
from protocol.messages.plan import PhasePlan

PACED = {
    "slot_ms": 10.0,
    "turns": {"pair-0": 500, "pair-1": 500, "pair-2": 400},
    "missed": {"pair-1": 1, "pair-2": 100},
    "late": {"pair-2": 25},
    "length_ms": {"mean": 10.0, "p50": 9.99, "p99": 11.0, "max": 14.25},
    "lateness_ms": {"mean": 0.1, "p50": 0.0, "p99": 1.0, "max": 4.25},
    "nice": -10,
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
    assert "did not let the channel server go before" in tables.paced(PACED | {"nice": 0})


def test_the_comparison_has_performance_and_both_overheads(capsys: pytest.CaptureFixture[str]) -> None:
    late = {"csi": _toll(80), "weights": _toll(300), "ack": _toll(20)}
    learning = _summary(3.0, {"warmup": {"history": _toll(180)}, "eval": late})
    baselines = {"floor": _summary(2.0, {}), "ceiling": _summary(4.0, {"eval": {"csi": _toll(10)}})}
    output.print_tables(comparison(compared(learning, baselines)))
    rows = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert rows[-4:-1] == [
        ["floor", "2", "+0.0%", "0.0%", "0.5000", "0", "0"],
        ["ceiling", "4", "+100.0%", "100.0%", "0.5000", "0", "0.25"],
        ["learning", "3", "+50.0%", "50.0%", "0.5000", "5", "2"],  # 180 + 300 + 20 bytes, and 80
    ]
    assert {"training", "eval"} <= {word.strip(",") for word in rows[-1]}  # 320 bytes of training are sent in eval


def test_the_list_and_a_run_show_what_a_run_waits_for(capsys: pytest.CaptureFixture[str]) -> None:
    run = {
        "id": "r-1",
        "state": "RUNNING",
        "reason": "waits for nodes to join: pair-0",
        "world": "d2d_underlay",
        "scheme": "li2020/sla",
        "seed": 1,
        "slot": 0,
        "slots": 20,
        "created": "2026-01-01T00:00:00+00:00",
        "folder": "runs/r-1",
        "trace_digest": "",
        "metrics": {},
    }
    for table in (controller_tables.runs([run]), controller_tables.run(run)):
        output.print_tables(table)
        assert "waits for nodes to join: pair-0" in capsys.readouterr().out


def _toll(size: int) -> dict[str, int]:
    return {"notes": 1, "note_bytes": size, "payload_bits": 8 * size}


def _summary(reward: float, tolls: dict[str, Any]) -> dict[str, Any]:
    """Of 4 agents, with 25 slots of warmup and 10 of eval."""
    schedule = (PhasePlan("warmup", 25), PhasePlan("eval", 10))
    parts = overhead(tolls, schedule, slots=35, agents=4)
    return {"scheme": "learning", "metrics": {"reward_total": reward, "outage": 0.5}, "overhead": parts}


def test_the_toll_of_replicas_says_whose_bytes_and_bits_it_has() -> None:
    tolls = {"csi": {"notes": 1, "note_bytes": 80, "payload_bits": 80}}
    captions = [tables.toll(tolls, by="kind", slots=1, agents=1, replicas=n).caption for n in (1, 8)]
    assert captions == [None, "bytes of all 8 replicas, payload bits of one"]
