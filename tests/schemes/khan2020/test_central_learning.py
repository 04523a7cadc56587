"""Learning at the cloud: which rows it learns from, what it costs, and that it learns."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import airtoll
from controller.config.resolved import load as resolve
from controller.run_folder.reader import RunFolder
from protocol.messages.kinds import Kind
from protocol.messages.plan import RunPlan
from schemes.khan2020.central_learning import AwaitedRows, Decided
from schemes.parts.weights import read_weights
from tests.recording import in_process, stepping

REPLICAS = 100


def plan(scheme: str, slots: int = 30, **params: Any) -> RunPlan:
    described = {"name": f"khan2020/{scheme}", "hidden": [32, 32], "rows_per_iteration": REPLICAS} | params
    run = {"world": "downlink_cells", "replicas": REPLICAS, "phases": {"train": slots, "eval": 3}, "scheme": described}
    return resolve(run | {"record": {"window_slots": 3}}).plan_for("test")


def mbps(windows: Any) -> list[float]:
    return [window.sums["sum_rate_mbps"] / window.counts["sum_rate_mbps"] for window in windows]


@pytest.mark.parametrize("scheme", ["trpo_central", "trpo_full", "trpo_partial"])
def test_a_fresh_policy_earns_what_the_figures_begin_with_and_trust_regions_soon_double_it(scheme: str) -> None:
    sum_rates = mbps(in_process(plan(scheme, rows_per_iteration=REPLICAS if "central" in scheme else 300)).windows)
    assert 25 < sum_rates[0] < 70  # about 40 over many draws
    assert sum_rates[-1] > 1.5 * sum_rates[0]


def test_every_slot_of_training_is_an_iteration_but_the_first() -> None:
    loopback, steps, _ = stepping(plan("trpo_central", slots=6))
    for _ in steps:
        pass
    trainer: Any = loopback.sessions[b"trainer"].node
    assert trainer.policy.snapshot()["learner"]["updates"] == 5  # the rates of the last slot come in the evaluation


def test_training_costs_a_scalar_per_bs_more_than_acting() -> None:
    recording = in_process(plan("trpo_central", slots=4))
    sent = {
        kind: [row for row in recording.air if row.kind == kind] for kind in (Kind.CSI, Kind.DECISION, Kind.FEEDBACK)
    }
    bits = {kind: sum(row.payload_bits for row in rows) for kind, rows in sent.items()}
    slots, b, k = 7, 3, 2
    assert bits[Kind.CSI] == slots * 32 * k * b * b
    assert bits[Kind.DECISION] == slots * 32 * k * b
    assert bits[Kind.FEEDBACK] == 4 * 32 * b


def test_a_slot_is_learnt_from_when_the_rates_of_all_cells_have_come() -> None:
    rows = AwaitedRows(cells=2)
    states, shares = np.ones((3, 2, 4), np.float32), np.ones((3, 2, 1), np.float32)
    rows.decide(5, Decided(states, shares, version=7))
    rate = np.arange(3, dtype=np.float32)
    assert rows.rate(4, 0, rate) is None  # of a slot that nothing is known of
    assert rows.rate(5, 1, 10 * rate) is None
    rollout = rows.rate(5, 0, rate)
    assert rollout is not None
    np.testing.assert_array_equal(rollout.rewards[0], np.stack([rate, 10 * rate], axis=1))
    assert rollout.terminated.all()
    np.testing.assert_array_equal(np.asarray(rollout.policy_versions), np.full((1, 3, 2), 7))
    assert not rows.decided
    assert not rows.rates


def test_old_slots_are_given_up() -> None:
    rows = AwaitedRows(cells=2)
    nothing = np.zeros((1, 2, 4), np.float32)
    for slot in range(100):
        rows.decide(slot, Decided(nothing, nothing[..., :1], version=0))
        rows.rate(slot, 0, np.zeros(1, np.float32))
    assert len(rows.decided) == len(rows.rates) == 21


def test_the_clouds_policy_stays_in_the_runs_folder_and_another_run_starts_from_it(tmp_path: Path) -> None:
    config: dict[str, Any] = {
        "world": "downlink_cells",
        "scheme": {"name": "khan2020/trpo_central", "hidden": [8], "rows_per_iteration": 20},
        "replicas": 20,
        "placement": "in-process",
    }
    learnt = airtoll.run(config | {"phases": {"train": 12, "eval": 2}}, folder=tmp_path / "learnt")
    assert learnt["state"] == "SUCCEEDED"
    kept = RunFolder(tmp_path / "learnt").weights
    assert kept.nodes == [3]  # the trainer
    version, weights = read_weights(kept.newest_body(3))
    assert version == 0  # of weights in a file: none was sent
    assert weights["0.weight"].shape == (8, 18)
    start = {"start": {"weights": str(tmp_path / "learnt")}, "slots": 5}
    started = airtoll.run(config | start, folder=tmp_path / "started")
    fresh = airtoll.run(config | {"slots": 5, "untrained": True}, folder=tmp_path / "fresh")
    assert started["state"] == "SUCCEEDED"
    assert started["metrics"] != fresh["metrics"]
