"""Runs and their baselines."""

from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import airtoll
from airtoll.analysis.baselines import comparison, eval_bytes, gap_share
from controller.config.errors import ConfigError
from controller.config.resolved import load

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
    console.print(comparison(summary, baselines, node_slots=4 * 60))
    assert "100.0%" in console.export_text()


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
    assert gap_share(1.0, 1.0, 1.0) != gap_share(1.0, 1.0, 1.0)  # not a number


def test_the_last_notes_of_training_are_not_charged_to_execution() -> None:
    tolls = {"csi": {"note_bytes": 5}, "weights": {"note_bytes": 100}, "ack": {"note_bytes": 4}}
    assert eval_bytes({"toll_by_phase": {"eval": tolls}}) == 5


def test_an_unknown_baseline_is_rejected_before_anything_starts() -> None:
    with pytest.raises(ConfigError, match=r"baselines: .*li2020/randm"):
        load(CONFIG | {"baselines": ["li2020/randm"]})
