"""Training while rows are missing: histories are lost, or an agent is; learning goes on, and the run reports it."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from controller.config.resolved import ResolvedRun, load
from controller.execution.run import ignore_telemetry, run
from controller.run_folder.status import State
from controller.run_folder.writer import RunWriter
from controller.trainer import LearningTrainer
from protocol.messages.kinds import Kind, LinkClass
from protocol.messages.plan import PastEvent, RunPlan
from protocol.messages.signalling import KindRule, SignallingPlan
from protocol.messages.telemetry import Progress, Telemetry
from tests.recording import Recording, plan_for, stepping

CELL = {"name": "d2d_underlay", "pairs": 10, "rbs": 4}
PHASES = {"warmup": 100, "train": 400, "eval": 20}
UPLOADS: dict[str, Any] = {"upload_every_slots": 10, "push_every_slots": 10, "batch": 16}
MAAC = UPLOADS | {"actor_hidden": [32, 16], "critic_hidden": [32, 32, 16], "updates_per_upload": 1}
LOSSY = SignallingPlan(rules=(KindRule(LinkClass.UPLINK, Kind.HISTORY, loss=0.3),))
ROWS = 10 * 500  # of all pairs, in warmup and training


def _plan(scheme: str, params: dict[str, Any]) -> RunPlan:
    plan = plan_for(scheme, CELL, phases=PHASES, slots=None, params=params)
    return structs.replace(plan, signalling=LOSSY)


def _created(folder: Path, phases: dict[str, int], **params: Any) -> tuple[ResolvedRun, RunWriter]:
    scheme = {"name": "li2020/maac"} | MAAC | params
    resolved = load({"world": CELL, "scheme": scheme, "phases": phases, "placement": "in-process"})
    return resolved, RunWriter.create(resolved, at=folder)


def _trained(plan: RunPlan) -> tuple[dict[str, Any], Recording]:
    """What the trainer's learner saves at the end, and the recording."""
    loopback, steps, recording = stepping(plan)
    for _ in steps:
        pass
    trainer = loopback.sessions[b"trainer"].node
    assert trainer is not None
    assert isinstance(trainer.policy, LearningTrainer)
    return trainer.policy.snapshot()["learner"], recording


def test_a_learner_that_joins_alone_keeps_the_rows_that_come() -> None:
    small = UPLOADS | {"learns_at": "trainer", "hidden": [16], "updates_per_upload": 0}
    saved, _ = _trained(_plan("li2020/dqn", small))
    counted = [each["replay"]["counted"] for each in saved["agents"]]
    assert 0.65 * ROWS <= np.sum(counted) < 0.72 * ROWS


def test_maac_learns_from_slots_in_which_some_rows_are_missing() -> None:
    saved, recording = _trained(_plan("li2020/maac", MAAC))
    assert 0.5 * ROWS <= np.sum(saved["replay"]["counted"]) < 0.72 * ROWS
    newest = {name: value for scalars in recording.scalars for name, value in scalars.scalars.items()}
    assert 0.25 * ROWS < newest["rows_masked"] < 0.5 * ROWS


def test_nine_of_ten_pairs_go_on_learning_and_every_report_of_the_run_tells_what_is_missing(tmp_path: Path) -> None:
    resolved, writer = _created(tmp_path / "run", PHASES)
    during: list[str] = []

    def watch(telemetry: Telemetry) -> None:
        if isinstance(telemetry, Progress):
            during.append(writer.remarks.now())

    summary = run(resolved, writer, watch, replay=(PastEvent("lost", "pair-3", 200, 0),))
    lost = "pair-3 is lost since slot 200: its fallback acts"
    assert summary["reason"].startswith(f"{lost}; the trainer learns without rows that did not come in time: ")
    assert writer.folder.meta.reason == summary["reason"]
    assert writer.folder.remarks().now() == summary["reason"]
    assert any(text.startswith(lost) for text in during)
    updates = [scalar for scalar in writer.folder.scalars() if scalar.name == "updates"]
    assert updates[-1].slot > 480
    assert [b.value - a.value for a, b in pairwise(updates)] == [1.0] * (len(updates) - 1)
    assert len(updates) > 35


@pytest.mark.parametrize(("batch", "reason"), [(16, ""), (5000, "nothing was learnt in 60 slots of training")])
def test_a_run_that_was_to_learn_and_learnt_nothing_says_so(tmp_path: Path, batch: int, reason: str) -> None:
    resolved, writer = _created(tmp_path / "run", {"warmup": 10, "train": 60, "eval": 10}, batch=batch)
    summary = run(resolved, writer, ignore_telemetry)
    assert summary["state"] == State.SUCCEEDED.value
    assert summary["reason"].startswith(reason)
    assert bool(summary["reason"]) == bool(reason)
