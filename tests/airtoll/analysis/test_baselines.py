"""Runs and their baselines."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import airtoll
from airtoll.analysis.baselines import comparison
from controller.config.errors import ConfigError
from controller.config.resolved import load
from controller.execution.comparison import compared, gap_share
from controller.run_folder.reader import RunFolder

CONFIG: dict[str, Any] = {
    "world": {"name": "d2d_underlay", "pairs": 4, "rbs": 4},
    "scheme": {"name": "li2020/best_own_rb", "form": "own_gain"},
    "slots": 60,
    "placement": "in-process",
    "baselines": ["li2020/random", "li2020/best_own_rb", {"name": "li2020/greedy_central"}],
}


def test_baselines_meet_the_same_channels(tmp_path: Path) -> None:
    summary = airtoll.run(CONFIG, folder=tmp_path / "run")
    baselines = summary["baselines"]
    assert list(baselines) == ["li2020/random", "li2020/best_own_rb", "li2020/greedy_central"]
    alone = airtoll.run(CONFIG | {"scheme": "li2020/random", "baselines": []}, folder=tmp_path / "alone")
    assert baselines["li2020/random"]["trace_digest"] == alone["trace_digest"]
    console = Console(width=200, record=True)
    console.print(comparison(summary["comparison"]))
    assert "100.0%" in console.export_text()
    assert summary["comparison"] == compared(summary, baselines)
    assert RunFolder(tmp_path / "run").summary["comparison"] == summary["comparison"]
    assert [row["scheme"] for row in summary["comparison"]] == [*baselines, "li2020/best_own_rb"]


def test_a_scheme_may_be_its_own_baseline_in_other_forms_but_not_twice(tmp_path: Path) -> None:
    forms = [{"name": "li2020/best_own_rb", "form": form} for form in ("own_gain", "gain_over_bs")]
    summary = airtoll.run(CONFIG | {"baselines": [*forms, "li2020/random"]}, folder=tmp_path / "run")
    assert list(summary["baselines"])[:2] == [
        "li2020/best_own_rb form=own_gain",
        "li2020/best_own_rb form=gain_over_bs",
    ]
    assert len(list((tmp_path / "run" / "baselines").iterdir())) == 3
    with pytest.raises(ConfigError, match="baselines: li2020/random is listed twice"):
        load(CONFIG | {"baselines": ["li2020/random", "li2020/random"]})


def test_a_share_of_the_gap_is_0_at_the_floor_and_1_at_the_ceiling() -> None:
    assert [gap_share(value, 2.0, 4.0) for value in (2.0, 3.0, 4.0)] == [0.0, 0.5, 1.0]
    assert gap_share(1.0, 1.0, 1.0) is None
    assert gap_share(None, 1.0, 2.0) is None


def test_without_a_reward_there_is_a_table_all_the_same() -> None:
    """Of runs without eval, and of a floor of 0."""
    nothing = {"late_bytes": 0, "bytes_per_slot_per_node": None}
    parts = {"overhead": {"training": nothing, "execution": nothing}}
    empty, zero = [{"scheme": "a", "metrics": metrics} | parts for metrics in ({}, {"reward_total": 0.0})]
    for summary in (empty, zero):
        rows = compared(summary, {"b": summary})
        assert [(row["gain_over_floor"], row["share_of_gap"]) for row in rows] == [(None, None)] * 2
        Console(width=80, record=True).print(comparison(rows))


def test_an_unknown_baseline_is_rejected_before_anything_starts() -> None:
    with pytest.raises(ConfigError, match=r"baselines: .*li2020/randm"):
        load(CONFIG | {"baselines": ["li2020/randm"]})
