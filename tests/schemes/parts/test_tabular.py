"""Tabular Q-learning against a plain loop, its ends and restarts, and the table as a network."""

from typing import Any

import numpy as np
import pytest

from protocol.determinism.snapshots import pack, unpack
from protocol.messages.episodes import TERMINATED, TRUNCATED
from schemes.parts.learner_settings import TabularQSettings
from schemes.parts.replay import Transitions
from schemes.parts.tabular import Table, TabularQ

SETTINGS = TabularQSettings(rate=0.25, discount=0.5)
STATES, CHOICES = 4, 3


def learner(settings: TabularQSettings = SETTINGS) -> TabularQ:
    return TabularQ(settings, states=STATES, n_actions=CHOICES)


def rows(slots: int = 30, *, replicas: int = 1, seed: int = 1, **how: Any) -> Transitions:
    rng = np.random.default_rng(seed)
    states = rng.integers(STATES, size=(slots + 1, replicas, 1, 1)).astype(np.float32)
    rewards = rng.standard_normal((slots, replicas, 1)).astype(np.float32)
    return Transitions(states, rng.integers(CHOICES, size=(slots, replicas, 1)), rewards, **how)


@pytest.mark.parametrize("centred", [False, True])
def test_it_equals_a_plain_loop(centred: bool) -> None:
    ended = np.zeros((30, 1), np.uint8)
    ended[5], ended[9] = TERMINATED, TRUNCATED
    valid = np.ones((30, 1, 1), bool)
    valid[12] = False
    data = rows(ended=ended, valid=valid)
    q, total, count = [[0.0] * CHOICES for _ in range(STATES)], 0.0, 0
    for t in range(30):
        if not valid[t, 0, 0]:
            continue
        state, action, reward = int(data.states[t, 0, 0, 0]), int(data.actions[t, 0, 0]), float(data.rewards[t, 0, 0])
        total, count = total + reward, count + 1
        following = int(data.states[t if ended[t, 0] == TRUNCATED else t + 1, 0, 0, 0])
        ahead = 0.0 if ended[t, 0] == TERMINATED else 0.5 * max(q[following])
        q[state][action] += 0.25 * (reward - (total / count if centred else 0) + ahead - q[state][action])
    it = learner(TabularQSettings(rate=0.25, discount=0.5, centre_rewards=centred))
    it.add(data)
    assert it.learn(1)
    np.testing.assert_allclose(it.weights()["table"], q, rtol=1e-5)


def test_replicas_in_one_entry_move_it_by_their_mean() -> None:
    states = np.zeros((2, 4, 1, 1), np.float32)
    it = learner()
    it.add(Transitions(states, np.zeros((1, 4, 1), int), np.array([[[1.0], [2], [3], [6]]], np.float32)))
    it.learn(1)
    assert it.weights()["table"][0, 0] == pytest.approx(0.25 * 3)


def test_rows_are_learnt_from_once_and_only_when_asked() -> None:
    it = learner()
    assert it.learn(1) == {}
    it.add(rows())
    assert it.learn(0) == {}
    assert it.learn(1)
    assert it.learn(1) == {}


def test_a_loaded_learner_continues_bit_by_bit() -> None:
    whole, loaded = learner(), learner()
    whole.add(rows(replicas=2))
    whole.learn(1)
    whole.add(rows(replicas=2, seed=2))
    loaded.load(unpack(pack(whole.save())))
    for each in (whole, loaded):
        each.add(rows(replicas=2, seed=3))
        each.learn(1)
    assert pack(whole.save()) == pack(loaded.save())


def test_a_table_is_a_network_of_numbers_of_states() -> None:
    values = np.arange(STATES * CHOICES, dtype=np.float32).reshape(STATES, CHOICES)
    table = Table({"table": values})
    assert (table.inputs, table.outputs) == (1, CHOICES)
    np.testing.assert_array_equal(table(np.array([[2.0], [0.0], [99.0]], np.float32)), values[[2, 0, 3]])
    with pytest.raises(ValueError, match="'table'"):
        Table({"0.weight": values})
