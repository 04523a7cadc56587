"""One agent as a Gymnasium environment, while the others follow the scheme."""

import numpy as np
import pytest

import airtoll

gymnasium = pytest.importorskip("gymnasium", reason="the extra envs is not installed")
pytest.importorskip("pettingzoo", reason="the extra envs is not installed")

from gymnasium.utils.env_checker import check_env

from airtoll.environments.gymnasium import AirtollAgentEnv

CELL = {
    "world": {"name": "d2d_underlay", "pairs": 4, "rbs": 3},
    "scheme": "li2020/untrained_actor",
    "slots": 60,
    "episode_slots": 20,
}


@pytest.mark.filterwarnings("ignore:.*(infinity|alternative render modes).*")
def test_it_passes_gymnasiums_check() -> None:
    check_env(airtoll.gym_env(CELL, "pair_0"))


def test_it_is_made_by_name() -> None:
    env = gymnasium.make("airtoll.environments.gymnasium:airtoll-v0", config=CELL, agent="pair_1", slots=5)
    row, _ = env.reset(seed=3)
    assert env.observation_space.contains(row)
    assert isinstance(env.unwrapped, AirtollAgentEnv)


def test_a_world_of_one_agent_needs_no_name() -> None:
    env = airtoll.gym_env(CELL, world={"pairs": 1})
    _, _ = env.reset()
    done = False
    slots = 0
    while not done:
        _, _, terminated, truncated, _ = env.step(env.action_space.sample())
        done, slots = terminated or truncated, slots + 1
    assert slots == 20


def test_several_agents_have_to_be_chosen_from() -> None:
    with pytest.raises(ValueError, match="give agent one of pair_0, pair_1, pair_2, pair_3"):
        airtoll.gym_env(CELL)


def test_the_others_follow_the_scheme() -> None:
    """Two runs in which one pair chooses otherwise: the others of the graph react to no note of it, and pay theirs."""
    env = airtoll.gym_env({"world": "conflict_graph", "scheme": "zhang2025/llq", "slots": 20}, "ap_2")
    env.reset()
    rewards = [env.step(np.zeros(3, int))[1] for _ in range(20)]
    assert env.toll() == {"neighbour": {"notes": 80, "payload_bits": 5120, "note_bytes": 640}}
    alone = airtoll.parallel_env({"world": "conflict_graph", "scheme": "zhang2025/llq", "slots": 20})
    alone.reset()
    silent = [alone.step({name: [0, 0, 0] for name in alone.agents})[1]["ap_2"] for _ in range(20)]
    assert sum(rewards) > sum(silent)  # the neighbours' queues are served


def test_a_team_is_played_in_tuples() -> None:
    """As EPyMARL's gymma does: list of integers in, observations and rewards per agent out."""
    env = gymnasium.make("airtoll.environments.gymnasium:airtoll-team-v0", config=CELL, max_episode_steps=30)
    parallel = airtoll.parallel_env(CELL)
    observations, _ = env.reset(seed=4)
    expected, _ = parallel.reset(4)
    assert env.unwrapped.n_agents == 4
    assert np.array_equal(observations, list(expected.values()))
    for slot in range(20):
        observations, rewards, terminated, truncated, _ = env.step([1, 2, 3, slot % 4])
        expected, paid, *_ = parallel.step(dict(zip(parallel.possible_agents, [1, 2, 3, slot % 4], strict=True)))
        assert np.array_equal(observations, list(expected.values()))
        assert rewards == list(paid.values())
        assert (terminated, truncated) == (False, slot == 19)


def test_a_team_has_what_gymma_asks_of_an_environment() -> None:
    """The calls of EPyMARL's src/envs/gymma.py: make with a time limit, spaces with `n` and `shape`, reset by seed."""
    made = gymnasium.make("airtoll.environments.gymnasium:airtoll-team-v0", config=CELL, max_episode_steps=30)
    env = gymnasium.wrappers.TimeLimit(made, max_episode_steps=30)
    assert max(space.n for space in env.action_space) == 4  # three resource blocks, or silence
    assert len({space.shape for space in env.observation_space}) == 1
    assert not hasattr(env.unwrapped, "seed")  # gymma then resets by the seed
    observations, info = env.reset(seed=4, options=None)
    assert (len(observations), info) == (env.unwrapped.n_agents, {})
    graph = {"world": "conflict_graph", "scheme": "zhang2025/llq", "slots": 5}
    other = gymnasium.make("airtoll.environments.gymnasium:airtoll-team-v0", config=graph)
    assert not hasattr(other.action_space[0], "n")  # as the page states
