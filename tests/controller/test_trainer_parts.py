"""Trainers composed of parts, in runs through the real engine: schemes of the shapes that papers have."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from controller.config.compatibility import check_evaluation
from controller.config.errors import ConfigError
from controller.execution.in_process import run_in_process
from controller.trainer import LearningTrainer
from protocol.accounting.trace import TraceField
from protocol.messages.kinds import Kind
from protocol.messages.plan import PhasePlan, RunPlan
from schemes.contract import load
from schemes.parts.weights import write_weights
from tests.controller.fake_schemes import UPLOAD_EVERY
from tests.recording import Checkpointed, in_process, in_processes, plan_for, stepping

NAMES = ("central", "compiled", "late_weights", "pooled", "shared", "both", "unjoined", "beside")
SLOTS = 120
AGENTS = 4


@pytest.fixture(autouse=True)
def _installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake schemes as entry points of an installed package, also for the processes of nodes."""
    about = tmp_path / "fakes-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: fakes\nVersion: 1.0\n", "utf-8")
    entries = "\n".join(f"fakes/{name} = tests.controller.fake_schemes:{name.upper()}" for name in NAMES)
    (about / "entry_points.txt").write_text(f"[airtoll.schemes]\n{entries}\n", "utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")


def _plan(name: str, *, train_delay_slots: int = 0, checkpoint_every: int = 0, **settings: Any) -> RunPlan:
    """Ten slots of warmup, then training; the last ten are evaluation."""
    plan = plan_for("ours/random", slots=SLOTS, checkpoint_every=checkpoint_every, **settings)
    phases = (PhasePlan("warmup", 10), PhasePlan("train", SLOTS - 20), PhasePlan("eval", 10))
    return structs.replace(
        plan,
        scheme=f"fakes/{name}",
        choreography=load(f"fakes/{name}").choreography(None),
        nodes=(*plan.nodes, "trainer"),
        phases=phases,
        train_delay_slots=train_delay_slots,
    )


def _learner(plan: RunPlan) -> Any:
    """What the trainer's learner saves at the end of the run."""
    loopback, steps, recording = stepping(plan)
    for _ in steps:
        pass
    assert recording.ended is not None
    assert (recording.ended.state, recording.ended.dropped) == ("SUCCEEDED", {})
    trainer = loopback.sessions[b"trainer"].node
    assert trainer is not None
    assert isinstance(trainer.policy, LearningTrainer)
    return trainer.policy.snapshot()["learner"]


def test_a_trainer_that_decides_learns_in_the_same_turn() -> None:
    saved = _learner(_plan("central"))
    assert [slot for _, slot, _ in saved["rows"]] == list(range(10, SLOTS - 10))
    assert saved["updates"] == SLOTS - 20
    assert saved["reward"] > 0


def test_its_decisions_follow_what_it_has_learnt() -> None:
    plan = _plan("central")
    recording = in_process(structs.replace(plan, record=structs.replace(plan.record, values=True)))
    acted = {value for slot, _, _, field, value in recording.values if field == TraceField.ACTION and slot > 10}
    assert len(acted) == 3


def test_a_trainer_compiles_rewards_from_notes_that_are_no_histories() -> None:
    plan = _plan("compiled")
    saved, recording = _learner(plan), in_process(plan)
    sent = sum(1 for row in recording.air if row.kind == Kind.CSI)
    assert sent == SLOTS * AGENTS
    last = SLOTS - 1 - (SLOTS - 1) % UPLOAD_EVERY
    assert [row[1] for row in saved["rows"][::AGENTS]] == list(range(last))
    assert saved["reward"] > 0


@pytest.mark.parametrize("delay", [0, 30])
def test_weights_are_used_as_late_as_the_trainer_is(delay: int) -> None:
    saved = _learner(_plan("late_weights", train_delay_slots=delay))
    for agent in range(AGENTS):
        versions = [version for _, _, version in saved["agents"][agent]["rows"]]
        changes = [slot for slot in range(1, len(versions)) if versions[slot] != versions[slot - 1]]
        assert changes[0] == 10 + 1 + delay  # learnt from in slot 10, sent at its end
        assert {b - a for a, b in pairwise(changes)} == {20}
        assert versions[changes[0]] == 1


def test_pooled_rows_of_all_agents_reach_one_learner() -> None:
    saved = _learner(_plan("pooled"))
    last = SLOTS - 1 - (SLOTS - 1) % UPLOAD_EVERY
    assert sorted(row[:2] for row in saved["rows"]) == [[a, s] for a in range(AGENTS) for s in range(last)]


def test_a_shared_policy_reaches_all_agents_in_one_note() -> None:
    each, all_at_once = in_process(_plan("pooled")), in_process(_plan("shared"))
    sent = [[row for row in recording.air if row.kind == Kind.WEIGHTS] for recording in (each, all_at_once)]
    notes = [row for row in sent[1] if not row.copied]
    assert len(sent[0]) == AGENTS * len(notes) > 0
    assert len(sent[1]) == len(sent[0])  # over wires each receiver is charged
    assert _learner(_plan("shared")) == _learner(_plan("pooled"))


def test_a_trainer_decides_in_one_turn_and_learns_in_another_from_both() -> None:
    saved = _learner(_plan("both"))
    decided = range(10, SLOTS - 10)
    assert len(saved["rows"]) == len(decided) + AGENTS * (SLOTS - 1 - (SLOTS - 1) % UPLOAD_EVERY)


def test_notes_that_no_part_reads_are_reported_beside_a_part_that_reads_others() -> None:
    """The trainer reads queues to decide, and nobody the histories."""
    recording = in_process(_plan("unjoined"))
    assert recording.ended is not None
    sent = sum(1 for row in recording.air if row.kind == Kind.HISTORY)
    assert recording.ended.dropped == {f"unreadable history note from ap{i + 1}": sent // AGENTS for i in range(AGENTS)}
    counted = [s.scalars["notes_unread"] for s in recording.scalars if "notes_unread" in s.scalars]
    assert counted == [AGENTS * (i + 1) for i in range(sent // AGENTS)]


def test_nodes_that_learn_beside_a_trainer_that_decides_are_evaluated() -> None:
    plan = _plan("beside")
    check_evaluation(plan, plan)
    weights = {"own": np.arange(2, dtype=np.float32)}
    started = structs.replace(plan, start=tuple(write_weights(weights, 0, "float32") for _ in range(AGENTS)))
    loopback, steps, _ = stepping(started)
    for _step in steps:
        pass
    agents = [session.node for peer, session in loopback.sessions.items() if peer != b"trainer"]
    assert len(agents) == AGENTS
    assert all(node is not None and node.policy.own.tolist() == [0, 1] for node in agents)  # type: ignore[attr-defined]


def test_without_weights_of_anybody_an_evaluation_is_rejected_with_a_fix() -> None:
    plan = plan_for("zhang2025/gms", slots=5)
    with pytest.raises(ConfigError, match="give the nodes' policy learnt_weights, or train and evaluate in the phases"):
        check_evaluation(plan, plan)


@pytest.mark.parametrize("delay", [0, 3])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "beside"])
def test_a_run_continues_from_its_checkpoint(name: str, delay: int) -> None:
    plan = _plan(name, train_delay_slots=delay)
    whole, kept = in_process(plan), Checkpointed()
    run_in_process(structs.replace(plan, record=structs.replace(plan.record, checkpoint_every=47)), kept)
    past, after = kept.pasts[0]
    run_in_process(plan, after, past=past)
    for recording in (kept, after):
        assert recording.trace == whole.trace
        assert recording.air == whole.air


def test_one_process_per_node_gives_the_same_trace() -> None:
    plan = _plan("both", train_delay_slots=2)
    assert in_processes(plan).trace == in_process(plan).trace
