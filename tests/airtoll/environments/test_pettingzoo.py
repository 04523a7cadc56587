"""The PettingZoo environment: its API, its determinism over whole episodes, what it observes, pays and counts."""

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

import airtoll

pytest.importorskip("pettingzoo", reason="the extra envs is not installed")

from pettingzoo.test import parallel_api_test, parallel_seed_test

from airtoll.environments.pettingzoo import AirtollEnv
from airtoll.environments.rendering import Screen
from airtoll.environments.runs import learner_name
from airtoll.environments.sense import Measured, Standardised, with_notes
from controller.config.errors import ConfigError
from controller.run_folder.reader import RunFolder
from protocol.accounting.trace import TraceField, first_divergence, read_rows
from protocol.messages.kinds import Kind
from schemes.zhang2025.queue_notes import decode_queues

CELL = {
    "world": {"name": "d2d_underlay", "pairs": 4, "rbs": 3},
    "scheme": "li2020/untrained_actor",
    "slots": 60,
    "episode_slots": 20,
}
GRAPH = {"world": {"name": "conflict_graph", "queue_bound": 6}, "scheme": "zhang2025/llq", "slots": 200}
ACTION = TraceField.ACTION


def episode(env: AirtollEnv, seed: int | None, rng: np.random.Generator) -> Iterator[tuple[Any, ...]]:
    """All steps of an episode, the reset first."""
    yield env.reset(seed)
    while env.agents:
        yield (*env.step(uniform(env, rng)), env.state())


def uniform(env: AirtollEnv, rng: np.random.Generator) -> dict[str, Any]:
    def choice(space: Any) -> Any:
        return rng.integers(0, space.nvec) if hasattr(space, "nvec") else int(rng.integers(0, space.n))

    return {name: choice(env.action_space(name)) for name in env.agents}


def all_of(env: AirtollEnv, action: list[int]) -> dict[str, Any]:
    """The same action for every agent."""
    return dict.fromkeys(env.agents, action)


def equal(a: Any, b: Any) -> bool:
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(equal, a, b))
    return bool(np.array_equal(a, b))


@pytest.mark.parametrize("config", [CELL, GRAPH], ids=["cell", "graph"])
def test_it_passes_pettingzoos_api_test(config: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    parallel_api_test(airtoll.parallel_env(config), num_cycles=50)
    assert "Passed" in capsys.readouterr().out
    parallel_seed_test(lambda: airtoll.parallel_env(config), num_cycles=20)


@pytest.mark.parametrize("config", [CELL, GRAPH], ids=["cell", "graph"])
def test_equal_seeds_give_equal_episodes_to_the_last_step(config: dict[str, Any]) -> None:
    one, two, other = (airtoll.parallel_env(config) for _ in range(3))
    draws = [np.random.default_rng(0) for _ in range(3)]
    for seed in (7, None, None, None, 3):
        a, b = list(episode(one, seed, draws[0])), list(episode(two, seed, draws[1]))
        assert len(a) > 2
        assert equal(tuple(a), tuple(b))
        c = list(episode(other, None if seed is None else seed + 1, draws[2]))
        assert not equal(tuple(a), tuple(c))


def test_a_reset_goes_on_with_the_run_until_its_slots_are_played() -> None:
    env, rng = airtoll.parallel_env(CELL), np.random.default_rng(0)
    begins = []
    for _ in range(4):
        steps = list(episode(env, None, rng))
        begins.append((env.run_seed, steps[0][1]["pair_0"]["slot"], len(steps) - 1))
    assert begins == [(1, 0, 20), (1, 20, 20), (1, 40, 20), (2, 0, 20)]
    env.reset()
    env.step(uniform(env, rng))
    env.reset()  # in the middle of an episode: of this run nothing follows
    assert (env.run_seed, env.turns["pair_0"].slot) == (3, 0)


def test_an_episode_that_the_world_ends_is_truncated_for_all() -> None:
    env = airtoll.parallel_env(GRAPH)
    env.reset()
    nobody = all_of(env, [0, 0, 0])
    ends = [env.step(nobody)[2:4] for _ in range(5) if env.agents]
    while env.agents:
        ends.append(env.step(nobody)[2:4])
    names = ("ap_1", "ap_2", "ap_3", "ap_4")
    assert ends[-1] == (dict.fromkeys(names, False), dict.fromkeys(names, True))
    assert all(end == (dict.fromkeys(names, False),) * 2 for end in ends[:-1])
    with pytest.raises(RuntimeError, match="the episode is over: call reset"):
        env.step(nobody)


def test_rewards_are_each_agents_own() -> None:
    """Pairs alone on their RBs, silent ones, by the metric that sums them."""
    env = airtoll.parallel_env(CELL, world={"negative_reward": -9.0})
    env.reset()
    _, rewards, *_ = env.step({"pair_0": 0, "pair_1": 1, "pair_2": 2, "pair_3": 0})
    assert rewards["pair_0"] == rewards["pair_3"] == 0  # choice 0 is silence
    assert rewards["pair_1"] != rewards["pair_2"] != 0
    sinr = {name: 2 ** rewards[name] - 1 for name in ("pair_1", "pair_2") if rewards[name] > 0}
    measured = airtoll.parallel_env(CELL, scheme="li2020/maac")
    measured.reset()
    measured.step({"pair_0": 0, "pair_1": 1, "pair_2": 2, "pair_3": 0})
    for name, value in sinr.items():
        assert measured.turns[name].measurement["sinr"][0] == pytest.approx(value, rel=1e-5)


def test_an_observation_is_the_nodes_own_measurement() -> None:
    env = airtoll.parallel_env(CELL)
    observations, _ = env.reset()
    for name, row in observations.items():
        measured = env.turns[name].measurement
        assert row.tolist() == [
            *measured["own_gain_db"][0].tolist(),
            *measured["bs_gain_db"][0].tolist(),
            *measured["interference_dbm"][0].tolist(),
            measured["last_rb"][0],
        ]
        assert env.observation_space(name).contains(row)
    assert env.state().tolist() == np.concatenate(list(observations.values())).tolist()
    assert env.state_space.contains(env.state())


def test_received_notes_can_be_observed_and_are_counted() -> None:
    env = airtoll.parallel_env(GRAPH, sense=with_notes(Measured, Kind.NEIGHBOUR, "u2", 2))
    env.reset()
    while env.turns["ap_1"].slot < 5:
        observations, *_ = env.step(all_of(env, [0, 0, 0]))
    inbox = {note.source: decode_queues(note.body, 1, 2)[0].tolist() for note in env.turns["ap_1"].inbox}
    neighbours = [inbox.get(node, [0, 0]) for node in (1, 2, 3)]
    assert observations["ap_1"][-6:].tolist() == [*neighbours[0], *neighbours[1], *neighbours[2]]
    assert any(map(any, neighbours))
    assert env.toll() == {"neighbour": {"notes": 20, "payload_bits": 1280, "note_bytes": 160}}
    assert env.toll("train") == {}


def test_a_run_leaves_a_folder_as_any_run(tmp_path: Path) -> None:
    env = airtoll.parallel_env(GRAPH, folder=tmp_path, slots=30, world={"queue_bound": None})
    env.reset()
    while env.agents:
        env.step(all_of(env, [1, 2, 0]))
    env.reset(5)
    env.close()
    done, cut = RunFolder.open(tmp_path / "run-1"), RunFolder.open(tmp_path / "run-2")
    assert (done.meta.state.value, done.meta.slots, done.meta.seed) == ("SUCCEEDED", 30, 1)
    assert (cut.meta.state.value, cut.meta.slots, cut.meta.seed) == ("STOPPED", 0, 5)
    assert done.toll.by("kind")["neighbour"].notes == 120


def test_a_native_runs_folder_and_that_of_its_actions_have_one_trace(tmp_path: Path) -> None:
    config = CELL | {"placement": "in-process", "record": {"values": True}}
    airtoll.run(config, folder=tmp_path / "native")
    values = msgpack.Unpacker(BytesIO((tmp_path / "native" / "values.msgpack").read_bytes()))
    rbs = {(slot, node): int.from_bytes(value, "little") for slot, _, node, field, value in values if field == ACTION}
    env = airtoll.parallel_env(config, folder=tmp_path / "outside")
    for _ in range(3):
        env.reset()
        while env.agents:
            slot = env.turns["pair_0"].slot
            env.step({name: 1 + rbs[slot, node] for node, name in enumerate(env.agents)})
    native, outside = ((tmp_path / run / "trace.bin").read_bytes() for run in ("native", "outside/run-1"))
    assert first_divergence(read_rows(native), read_rows(outside)) is None


def test_maps_are_rendered_as_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    env = airtoll.parallel_env(CELL, render_mode="rgb_array")
    with pytest.raises(RuntimeError, match="call reset"):
        env.render()
    env.reset()
    env.step(dict.fromkeys(env.agents, 1))
    one = env.render()
    assert (one.dtype, one.shape[2], one.std() > 0) == (np.uint8, 3, True)
    env.step(dict.fromkeys(env.agents, 2))
    assert not np.array_equal(one, env.render())
    kept = env._screen.folder
    env.close()
    assert kept is not None
    assert not kept.exists()


def test_a_window_needs_a_display(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    env = airtoll.parallel_env(CELL, render_mode="human")
    env.reset()
    with pytest.raises(RuntimeError, match="needs a display"):
        env.step(dict.fromkeys(env.agents, 1))
    env.close()


def test_rendering_is_asked_for_beforehand() -> None:
    env = airtoll.parallel_env(CELL)
    env.reset()
    with pytest.raises(RuntimeError, match="give render_mode"):
        env.render()
    with pytest.raises(ConfigError, match="render_mode: 'ansi' is not allowed: choose rgb_array, human"):
        Screen("ansi", None)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"replicas": 2}, "replicas: 2 is not allowed: .*torchrl"),
        ({"clock": {"slot_ms": 5}, "placement": "processes"}, r"clock.slot_ms: 5.0 is not allowed: .*leave out"),
        ({"checkpoint_every": 5}, "checkpoint_every: 5 is not allowed"),
        ({"scheme": "li2020/random"}, "measure nothing .* give a sense"),
        ({"agents": ["pair_9"]}, r"no agent named 'pair_9'"),
        ({"wordl": {}}, "wordl"),
    ],
)
def test_impossible_settings_are_rejected_before_anything_runs(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        airtoll.parallel_env(CELL, **settings)


def test_wrong_steps_are_rejected() -> None:
    env = airtoll.parallel_env(CELL)
    with pytest.raises(RuntimeError, match="call reset"):
        env.step({})
    env.reset()
    with pytest.raises(ValueError, match=r"no action for pair_1, pair_2, pair_3"):
        env.step({"pair_0": 1})
    with pytest.raises(ValueError, match=r"rb .* choose integers 0 to 3"):
        env.step(dict.fromkeys(env.agents, 4))


def test_agents_are_named_as_learning_libraries_group_them() -> None:
    assert [learner_name(name) for name in ("pair-0", "ap12", "bs", "a-b-3", "x_1")] == [
        *("pair_0", "ap_12", "bs", "a_b_3", "x_1"),
    ]


def test_standardised_observations_are_those_of_the_native_networks() -> None:
    env = airtoll.parallel_env(CELL, sense=Standardised, world={"pairs": 40})
    rows = np.array(list(env.reset()[0].values()))  # [40, 12]
    assert rows.shape == (40, 12)
    assert abs(rows[:, :9].mean()) < 1.5
    assert 0.2 < rows[:, :9].std() < 3
