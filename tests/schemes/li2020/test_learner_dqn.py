"""DQN: the learner against autograd, bit-equal restarts, and a bandit with known values."""

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn
from torch.nn import functional

from protocol.determinism.snapshots import pack, unpack
from protocol.messages.episodes import TERMINATED, TRUNCATED
from schemes.li2020.dqn import Dqn
from schemes.li2020.learner_dqn import DqnLearner
from schemes.parts.nn.learning import Independent
from schemes.parts.numpy_nets import Mlp
from schemes.parts.replay import Transitions

INPUTS, CHOICES = 4, 3


def learner(*, seed: int = 1, node: int = 0, **changed: Any) -> DqnLearner:
    small: dict[str, Any] = {"hidden": (16, 8), "batch": 16, "replay_capacity": 500}
    return DqnLearner(Dqn(**(small | changed)), inputs=INPUTS, n_actions=CHOICES, seed=seed, node=node)


def history(slots: int, *, agents: int = 1, seed: int = 1, first_slot: int = 0, **how: Any) -> Transitions:
    rng = np.random.default_rng(seed)
    states = rng.standard_normal((slots + 1, 1, agents, INPUTS), dtype=np.float32)
    actions = rng.integers(CHOICES, size=(slots, 1, agents))
    rewards = 3 * rng.standard_normal((slots, 1, agents), dtype=np.float32)  # some errors beyond Huber's 1
    return Transitions(states, actions, rewards, first_slot, **how)


def ended_with_the_last(slots: int) -> npt.NDArray[np.uint8]:
    ended = np.zeros((slots, 1), np.uint8)
    ended[-1], ended[slots // 2] = TERMINATED, TRUNCATED
    return ended


def trained(updates: int = 10, **changed: Any) -> DqnLearner:
    it = learner(**changed)
    it.add(history(40))
    it.learn(updates)
    return it


def module(it: DqnLearner) -> nn.Sequential:
    net = nn.Sequential(nn.Linear(INPUTS, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, CHOICES))
    net.load_state_dict({name: torch.tensor(array) for name, array in it.weights().items()})
    return net


def test_hand_written_gradients_equal_autograd() -> None:
    it = learner(tau=0.1)
    net, target = module(it), module(it)
    adam = torch.optim.Adam(net.parameters(), lr=it.params.rate)
    it.add(history(30, ended=ended_with_the_last(30)))
    rng = np.random.default_rng(2)
    for _ in range(10):
        minibatch = it.replay.sample(rng, 16)
        it.update(minibatch)
        with torch.no_grad():
            best = target(torch.tensor(minibatch.next_states[:, 0])).amax(1)
            y = torch.tensor(minibatch.rewards[:, 0]) + 0.95 * torch.tensor(minibatch.not_terminal) * best
        q = net(torch.tensor(minibatch.states[:, 0]))[torch.arange(16), torch.tensor(minibatch.actions[:, 0])]
        adam.zero_grad()
        functional.huber_loss(q, y).backward()  # type: ignore[no-untyped-call]
        adam.step()
        with torch.no_grad():
            for mine, theirs in zip(target.parameters(), net.parameters(), strict=True):
                mine.lerp_(theirs, 0.1)
    for name, parameter in net.state_dict().items():
        np.testing.assert_allclose(it.weights()[name], parameter.numpy(), rtol=1e-3, atol=2e-5)


def test_independent_learners_use_their_own_agents_transitions_alone() -> None:
    """Of three agents one has too few valid rows: it learns nothing yet, the others as each would by itself."""
    joint = history(40, agents=3)
    valid = np.ones(joint.actions.shape, bool)
    valid[10:, :, 2] = False
    together = Independent([learner(node=node) for node in range(3)])
    together.add(replace(joint, valid=valid))
    stats = together.learn(5)
    alone = [learner(node=node) for node in range(3)]
    for node, it in enumerate(alone):
        it.add(replace(joint, valid=valid).of_agent(node))
    means = [it.learn(5) for it in alone[:2]]
    assert stats == {key: float(np.mean([mean[key] for mean in means])) for key in ("loss", "mean_q")}
    for node, it in enumerate(alone):
        assert all((together.weights(node)[name] == weight).all() for name, weight in it.weights().items())


def test_the_same_seed_gives_the_same_bits_and_another_node_does_not() -> None:
    assert pack(trained().save()) == pack(trained().save())
    assert pack(trained().save()) != pack(trained(node=1).save())


@pytest.mark.parametrize("before", [0, 7])
def test_a_loaded_learner_continues_bit_by_bit(before: int) -> None:
    whole, loaded = trained(before), learner()
    loaded.load(unpack(pack(whole.save())))
    for each in (whole, loaded):
        each.add(history(20, seed=3, first_slot=40))
        each.learn(6)
    assert whole.updates == loaded.updates == before + 6
    assert pack(whole.save()) == pack(loaded.save())


def test_nothing_is_learnt_without_a_minibatch() -> None:
    it = learner()
    it.add(history(15))
    assert it.learn(3) == {}
    it.add(history(1, first_slot=15))
    assert it.learn(3)
    assert it.updates == 3


def test_a_node_gets_the_online_network() -> None:
    it = trained()
    x = np.random.default_rng(1).standard_normal((3, INPUTS), dtype=np.float32)
    np.testing.assert_allclose(Mlp(it.weights())(x), it.net(torch.tensor(x)[None]).numpy()[0], rtol=1e-4, atol=1e-6)


def test_values_of_a_bandit_are_found() -> None:
    """The reward of choice c is c if the state's first entry is positive, else 2 - c; nothing follows."""
    it = DqnLearner(Dqn(hidden=(32,), discount=0.0), inputs=INPUTS, n_actions=CHOICES, seed=1)
    rng = np.random.default_rng(1)
    states = np.sign(rng.standard_normal((501, 1, 1, INPUTS), dtype=np.float32))
    actions = rng.integers(CHOICES, size=(500, 1, 1))
    rewards = np.where(states[:500, ..., 0] > 0, actions, 2 - actions).astype(np.float32)
    it.add(Transitions(states, actions, rewards))
    it.learn(1000)
    seen = np.ones((2, INPUTS), np.float32) * np.array([[1], [-1]], np.float32)
    values = Mlp(it.weights())(seen) + rewards.mean()  # learnt from centred rewards
    np.testing.assert_allclose(values, [[0, 1, 2], [2, 1, 0]], atol=0.15)
