"""Training and evaluation in turns: metrics and toll of each round, checkpoints within one, and what is rejected."""

from pathlib import Path
from typing import Any

import pytest

import airtoll
from controller.config.errors import ConfigError
from controller.config.resolved import load
from controller.execution.in_process import run_in_process
from controller.run_folder.reader import RunFolder
from protocol.messages.phases import TrainingProgress
from tests.recording import CELL, Checkpointed, assert_same_trace, in_process, in_processes, plan_for

NETWORKS = {"actor_hidden": [8], "critic_hidden": [8, 8], "batch": 8, "push_every_slots": 10}
ROUNDS: dict[str, Any] = {
    "slots": None,
    "phases": {"warmup": 10, "train": 40, "eval": 25, "rounds": 3},
    "record": {"window_slots": 20},
}


def test_each_round_has_metrics_and_toll_and_the_last_evaluation_is_the_result(tmp_path: Path) -> None:
    config = {"world": CELL, "scheme": {"name": "li2020/maac", **NETWORKS}, "placement": "in-process"}
    summary = airtoll.run(config | {key: ROUNDS[key] for key in ("phases", "record")}, folder=tmp_path / "run")
    phases = summary["phases"]
    assert [(p["phase"], p["round"], p["first"], p["last"], p["trained_slots"]) for p in phases] == [
        ("warmup", 1, 0, 9, 0),
        ("train", 1, 10, 49, 40),
        ("eval", 1, 50, 74, 40),
        ("train", 2, 75, 114, 80),
        ("eval", 2, 115, 139, 80),
        ("train", 3, 140, 179, 120),
        ("eval", 3, 180, 204, 120),
    ]
    assert summary["metrics"] == phases[-1]["metrics"]
    assert phases[-1]["metrics"] != phases[2]["metrics"]
    for round_ in (phases[1], phases[3], phases[5]):  # every round trains, and its weights are sent
        assert round_["toll"]["weights"]["notes"] > 0
    kinds = {kind for phase in phases for kind in phase["toll"]}
    for kind in kinds:
        parts = [phase["toll"].get(kind, {"note_bytes": 0})["note_bytes"] for phase in phases]
        assert sum(parts) == summary["toll"][kind]["note_bytes"]
    policy_versions = [s.value for s in RunFolder(tmp_path / "run").scalars() if s.name == "updates"]
    assert policy_versions[-1] > policy_versions[0]


@pytest.mark.parametrize("scheme", ["li2020/maac", "li2020/dqn"])
def test_a_run_resumed_within_a_later_round_has_the_same_trace(scheme: str) -> None:
    networks = NETWORKS if scheme == "li2020/maac" else {"hidden": [8], "batch": 8}
    plan = plan_for(scheme, params=networks, **ROUNDS, checkpoint_every=90)
    kept = Checkpointed()
    run_in_process(plan, kept)
    past, after = kept.pasts[0]
    run_in_process(plan, after, past=past)
    assert_same_trace(kept, after)
    assert [(w.phase, w.first) for w in after.windows] == [(w.phase, w.first) for w in kept.windows]


def test_a_run_of_rounds_has_the_same_trace_in_processes() -> None:
    plan = plan_for("li2020/maac", params=NETWORKS, **ROUNDS)
    assert_same_trace(in_process(plan), in_processes(plan))


def test_progress_is_the_share_of_training_slots_whatever_is_evaluated_between() -> None:
    progress = TrainingProgress([(0, 10), (1, 40), (2, 25), (1, 40), (2, 25)])
    assert [progress.at(slot) for slot in (0, 10, 30, 50, 74, 75, 95, 115, 140)] == [
        0,
        0,
        0.25,
        0.5,
        0.5,
        0.5,
        0.75,
        1,
        1,
    ]


@pytest.mark.parametrize(
    ("phases", "fault"),
    [
        (
            {"rounds": 2, "eval": 10},
            "phases.rounds: 2 is not allowed: train and eval alternate, so that both need slots",
        ),
        ({"rounds": 2, "train": 10, "eval": 0}, "phases.rounds: 2 is not allowed: train and eval alternate"),
        ({"rounds": 1001, "train": 10}, "phases.rounds: 1001 is not allowed: must be at most 1000"),
        ({"rounds": 1000, "train": 10**6}, "1001000000 slots in all; a run has at most 1000000000"),
    ],
)
def test_rounds_that_make_no_schedule_are_rejected(phases: dict[str, int], fault: str) -> None:
    with pytest.raises(ConfigError) as error:
        load({"world": CELL, "scheme": "li2020/random", "phases": phases})
    assert fault in str(error.value)
