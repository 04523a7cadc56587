"""The TorchRL environment over replicas: its specs, its resets, and that its replicas are those of the run."""

from typing import Any

import numpy as np
import pytest

pytest.importorskip("torchrl", reason="the extra torchrl is not installed")
pytest.importorskip("gymnasium", reason="the extra envs is not installed")

import torch
from torchrl.envs.utils import check_env_specs

from airtoll.environments.slot_engine import SlotEngine
from airtoll.environments.torchrl import AirtollTorchEnv
from controller.config.resolved import load
from controller.execution.building import build_world

CELL = {
    "world": {"name": "d2d_underlay", "pairs": 4, "rbs": 3},
    "scheme": "li2020/untrained_actor",
    "slots": 60,
    "episode_slots": 20,
    "replicas": 3,
}
GRAPH = {
    "world": {"name": "conflict_graph", "queue_bound": 4},
    "scheme": "zhang2025/llq",
    "slots": 100,
    "replicas": 5,
}


@pytest.mark.parametrize("config", [CELL, GRAPH], ids=["cell", "graph"])
def test_it_passes_torchrls_check(config: dict[str, Any]) -> None:
    check_env_specs(AirtollTorchEnv(config))


def test_steps_are_those_of_the_run_in_all_replicas() -> None:
    env = AirtollTorchEnv(CELL)
    plan = load(CELL).plan_for("test")
    world = build_world(plan)
    engine = SlotEngine(plan, world, range(4), lambda _: None)
    first = engine.start()
    rollout = env.rollout(12)
    gains = np.stack([turn.measurement["own_gain_db"] for turn in first.turns.values()], axis=1)
    assert np.array_equal(rollout["pair", "observation"][:, 0, :, :3].numpy(), gains)
    for step in range(12):
        chosen = {}
        for agent in range(4):
            chosen[agent] = world.silent(agent)
            chosen[agent]["rb"] = rollout["pair", "action"][:, step, agent].numpy() - 1
        outcome = engine.act(chosen).outcome
        assert outcome is not None
        assert np.array_equal(
            rollout["next", "pair", "reward"][:, step, :, 0].numpy(), outcome.rewards.T.astype(np.float32)
        )


def test_replicas_end_and_begin_again_each_by_itself() -> None:
    env = AirtollTorchEnv(GRAPH)
    rollout = env.rollout(100, break_when_any_done=False)
    done = rollout["next", "done"][..., 0]  # [E, T]
    assert len({tuple(row) for row in done.tolist()}) > 1
    assert torch.equal(done, rollout["next", "truncated"][..., 0])
    begins = done[:, :-1]
    assert begins.sum() >= 5
    own = rollout["ap", "observation"][:, 1:, :, :2]  # queues after arrivals, [E, T - 1, N, 2]
    before = rollout["ap", "observation"][:, :-1, :, :2]
    assert own[begins].sum() < before[begins].sum()  # they begin empty
    assert torch.equal(rollout["ap", "observation"][:, 1:], rollout["next", "ap", "observation"][:, :-1])


def test_a_new_run_has_the_next_seed_and_a_seed_is_repeated() -> None:
    env = AirtollTorchEnv(CELL)
    env.set_seed(5)
    first = env.reset()["state"]
    assert env.run_seed == 5
    env.rollout(60, break_when_any_done=False, auto_reset=False, tensordict=env.reset())
    env.reset()
    assert env.run_seed == 6
    env.set_seed(5)
    assert torch.equal(env.reset()["state"], first)


def test_some_replicas_cannot_be_reset_while_the_others_go_on() -> None:
    env = AirtollTorchEnv(CELL)
    step = env.rand_step(env.reset())["next"]
    step["_reset"] = torch.tensor([[True], [False], [False]])
    with pytest.raises(ValueError, match="reset all of them, or none"):
        env.reset(step)


def test_the_toll_is_counted() -> None:
    env = AirtollTorchEnv(GRAPH | {"replicas": 1})
    env.rollout(10, break_when_any_done=False)
    assert env.toll()["neighbour"]["notes"] >= 40


def test_agents_of_a_group_are_alike(tmp_path: Any) -> None:
    graph = tmp_path / "graph.yaml"
    graph.write_text("agents:\n  ap1: [1, 2]\n  ap2: [3]\nconflicts:\n  1: [3]\n")
    with pytest.raises(ValueError, match="the agents of group ap"):
        AirtollTorchEnv(GRAPH | {"world": {"name": "conflict_graph", "graph": str(graph)}})
