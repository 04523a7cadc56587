"""MAAC and NAAC: the stacked learner against the readable one, bit-equal restarts, and a game with a known optimum."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import nn

from protocol.determinism.snapshots import pack, unpack
from protocol.messages.episodes import TERMINATED, TRUNCATED
from schemes.li2020.learner_maac import STATS, MaacLearner
from schemes.li2020.learner_maac_reference import MaacReferenceLearner, linears
from schemes.li2020.maac import Maac
from schemes.parts.critic_inputs import CriticInputs, Gates, all_agents, nearest_agents, own_agent
from schemes.parts.nn.stacked import StackedLayer
from schemes.parts.numpy_nets import Mlp
from schemes.parts.replay import Floats, Transitions

AGENTS, INPUTS, CHOICES = 5, 6, 4
RING = tuple(tuple((i + j) % AGENTS for j in range(1, 4)) for i in range(AGENTS))
GATES: Gates = ((0, 1, 2, 3), (5, 2, 4, 5))
SMALL: dict[str, Any] = {"actor_hidden": (16, 8), "critic_hidden": (24, 16, 8), "batch": 16, "replay_capacity": 500}


def learner(known: CriticInputs, *, gates: Gates = GATES, seed: int = 1, **changed: Any) -> MaacLearner:
    params = Maac(**(SMALL | changed))
    return MaacLearner(params, inputs=INPUTS, n_actions=CHOICES, critic_inputs=known, gates=gates, seed=seed)


def history(slots: int, *, agents: int = AGENTS, seed: int = 1, first_slot: int = 0, **how: Any) -> Transitions:
    rng = np.random.default_rng(seed)
    states = rng.standard_normal((slots + 1, 1, agents, INPUTS), dtype=np.float32)
    actions = rng.integers(CHOICES, size=(slots, 1, agents))
    return Transitions(states, actions, rng.random((slots, 1, agents), dtype=np.float32), first_slot, **how)


def ended_with_the_last(slots: int) -> npt.NDArray[np.uint8]:
    ended = np.zeros((slots, 1), np.uint8)
    ended[-1], ended[slots // 2] = TERMINATED, TRUNCATED
    return ended


def trained(known: CriticInputs, updates: int = 10, **changed: Any) -> MaacLearner:
    it = learner(known, **changed)
    it.add(history(40))
    it.learn(updates)
    return it


def same(a: MaacLearner, b: MaacLearner) -> bool:
    return pack(a.save()) == pack(b.save())


def missing(slots: int) -> npt.NDArray[np.bool_]:
    """A third of the rows is missing, and all of agent 1's from slot 10 on."""
    valid = np.random.default_rng(5).random((slots, 1, AGENTS)) < 0.67
    valid[10:, :, 1] = False
    return valid


@pytest.mark.parametrize("valid", [None, missing(30)], ids=["all rows", "some rows"])
@pytest.mark.parametrize("actor_gradient", ["expected", "gumbel"])
@pytest.mark.parametrize("gates", [GATES, GATES[:1], ()], ids=["per_rb", "compact", "plain"])
@pytest.mark.parametrize(
    "known", [all_agents(AGENTS), nearest_agents(RING), own_agent(AGENTS)], ids=["MAAC", "NAAC", "AC"]
)
def test_the_stacked_learner_equals_the_reference(
    known: CriticInputs, gates: Gates, actor_gradient: str, valid: npt.NDArray[np.bool_] | None
) -> None:
    """From the same seed, over 10 updates: first weights, minibatches, noise, statistics and all networks."""
    stacked = learner(known, gates=gates, actor_gradient=actor_gradient, actor_rate=1e-3, tau=0.1)
    reference = MaacReferenceLearner(
        stacked.params, inputs=INPUTS, n_actions=CHOICES, critic_inputs=known, gates=gates, seed=1
    )
    first = stacked.actor.layers[0].weight.clone()
    for each in (stacked, reference):
        each.add(history(30, ended=ended_with_the_last(30), valid=valid))
    for _ in range(10):
        assert stacked.learn(1) == pytest.approx(reference.learn(1), rel=1e-3, abs=1e-4)
    for i, agent in enumerate(reference.agents):
        _assert_equal(stacked.actor.layers, i, agent.actor)
        _assert_equal(stacked.target_actor.layers, i, agent.target_actor)
        _assert_equal((stacked.critic.states, *stacked.critic.tail.layers), i, agent.critic)
        _assert_equal((stacked.target_critic.states, *stacked.target_critic.tail.layers), i, agent.target_critic)
        for name, weight in reference.weights(i).items():
            np.testing.assert_allclose(stacked.weights(i)[name], weight, rtol=1e-3, atol=2e-5)
    assert (stacked.actor.layers[0].weight - first).abs().max() > 1e-3


def _assert_equal(layers: Sequence[StackedLayer], i: int, module: nn.Module) -> None:
    """Network i of the stack against a module's linear layers, in order."""
    for layer, linear in zip(layers, linears(module), strict=True):
        torch.testing.assert_close(layer.weight[i].T, linear.weight.detach(), rtol=1e-3, atol=2e-5)
        torch.testing.assert_close(layer.bias[i, 0], linear.bias.detach(), rtol=1e-3, atol=2e-5)


def test_naac_with_all_agents_is_maac_up_to_the_order_of_inputs() -> None:
    known = all_agents(AGENTS)
    backwards: CriticInputs = tuple((i, *reversed(others)) for i, *others in known)
    maac, naac = learner(known), learner(backwards)
    order = torch.tensor([0, *range(AGENTS - 1, 0, -1)])
    for mine, theirs in ((naac.critic, maac.critic), (naac.target_critic, maac.target_critic)):
        mine.states.weight.copy_(_reordered(theirs.states.weight, order, INPUTS))
        mine.tail.layers[0].weight.copy_(theirs.tail.layers[0].weight)
        of_actions = slice(24, 24 + AGENTS * CHOICES)
        mine.tail.layers[0].weight[:, of_actions] = _reordered(
            theirs.tail.layers[0].weight[:, of_actions], order, CHOICES
        )
    for each in (maac, naac):
        each.add(history(40))
    assert maac.learn(10) == pytest.approx(naac.learn(10), rel=1e-4)
    torch.testing.assert_close(maac.actor.layers[0].weight, naac.actor.layers[0].weight, rtol=1e-3, atol=1e-5)


def _reordered(weight: torch.Tensor, order: torch.Tensor, width: int) -> torch.Tensor:
    return weight.reshape(len(weight), AGENTS, width, -1)[:, order].flatten(1, 2)


def test_what_stands_in_a_missing_row_changes_nothing() -> None:
    valid = missing(40)
    joint, networks = history(40, valid=valid), list[bytes]()
    for fill in (0.0, 50.0):
        states, rewards = joint.states.copy(), joint.rewards.copy()
        unknown = ~(np.concatenate([valid, valid[-1:]]) | np.concatenate([valid[:1], valid]))  # nor the slot before's
        states[unknown], rewards[~valid] = fill, fill
        it = learner(all_agents(AGENTS))
        it.add(replace(joint, states=states, rewards=rewards))
        it.learn(10)
        networks.append(pack(it.save()["networks"]))
    assert networks[0] == networks[1]


def test_an_agent_of_which_no_row_comes_does_not_learn_and_the_others_do() -> None:
    it = learner(all_agents(AGENTS))
    before = it.save()["networks"]
    valid = np.ones((40, 1, AGENTS), bool)
    valid[:, :, 1] = False
    it.add(history(40, valid=valid))
    assert np.isfinite(list(it.learn(10).values())).all()
    for name, tensors in it.save()["networks"].items():
        for old, new in zip(before[name], tensors, strict=True):
            changed = [not np.array_equal(old[agent], new[agent]) for agent in range(AGENTS)]
            assert changed == [agent != 1 for agent in range(AGENTS)]


def test_the_same_seed_gives_the_same_bits_and_another_does_not() -> None:
    assert same(trained(all_agents(AGENTS)), trained(all_agents(AGENTS)))
    assert not same(trained(all_agents(AGENTS)), trained(all_agents(AGENTS), seed=2))


def test_updates_in_portions_are_the_same_updates() -> None:
    whole, parts = trained(nearest_agents(RING), 10), trained(nearest_agents(RING), 3)
    parts.learn(7)
    assert same(whole, parts)


@pytest.mark.parametrize("before", [0, 7])
def test_a_loaded_learner_continues_bit_by_bit(before: int) -> None:
    whole = trained(all_agents(AGENTS), before)
    loaded = learner(all_agents(AGENTS))
    loaded.load(unpack(pack(whole.save())))
    for each in (whole, loaded):
        each.add(history(20, seed=3, first_slot=40))
        each.learn(6)
    assert whole.updates == loaded.updates == before + 6
    assert same(whole, loaded)


def test_nothing_is_learnt_without_a_minibatch() -> None:
    it = learner(all_agents(AGENTS))
    it.add(history(15))
    before = it.save()["networks"]
    assert it.learn(3) == {}
    assert (pack(it.save()["networks"]), it.updates) == (pack(before), 0)
    it.add(history(1, first_slot=15))
    assert it.learn(3)
    assert it.updates == 3


def test_statistics_are_finite_and_the_entropy_is_that_of_a_distribution_over_the_choices() -> None:
    it = learner(all_agents(AGENTS))
    it.add(history(40))
    stats = it.learn(5)
    assert tuple(stats) == STATS == ("critic_loss", "mean_q", "actor_loss", "entropy")
    assert np.isfinite(list(stats.values())).all()
    assert 0 < stats["entropy"] <= np.log(CHOICES) + 1e-6


def test_a_node_gets_its_target_actor() -> None:
    it = trained(all_agents(AGENTS))
    x = np.random.default_rng(1).standard_normal((AGENTS, 3, INPUTS), dtype=np.float32)
    expected = it.target_actor(torch.tensor(x)).numpy()
    for node in range(AGENTS):
        net = Mlp(it.weights(node))
        assert (net.inputs, net.outputs) == (INPUTS, CHOICES)
        np.testing.assert_allclose(net(x[node]), expected[node], rtol=1e-4, atol=1e-6)
    assert (it.weights(0)["0.weight"] != it.actor.weights(0)["0.weight"]).any()


def test_weights_given_do_not_change_afterwards() -> None:
    it = trained(all_agents(AGENTS))
    given = it.weights(0)
    before = {name: array.copy() for name, array in given.items()}
    it.learn(3)
    assert all((given[name] == before[name]).all() for name in before)


def test_first_weights_of_an_agent_do_not_depend_on_the_number_of_agents_its_critic_does_not_know() -> None:
    few = learner(nearest_agents(RING))
    many = learner(nearest_agents([[(i + j) % 9 for j in range(1, 4)] for i in range(9)]))
    assert all((few.weights(2)[name] == many.weights(2)[name]).all() for name in few.weights(2))
    assert torch.equal(few.critic.states.weight[2], many.critic.states.weight[2])


@pytest.mark.parametrize(
    ("known", "message"),
    [(((0, 1), (1,)), "as many agents"), (((1, 0), (1, 0)), "begin with i"), (((0, 1, 1), (1, 0, 0)), "twice")],
)
def test_impossible_critic_inputs_are_rejected(known: CriticInputs, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        learner(known)


@pytest.mark.parametrize("gates", [((0, 1, 2),), ((0, 1, 2, INPUTS),), ((0, 1, 2, -1),)])
def test_impossible_gates_are_rejected(gates: Gates) -> None:
    with pytest.raises(ValueError, match=f"one of {INPUTS} inputs for each of {CHOICES} actions"):
        learner(all_agents(AGENTS), gates=gates)


@pytest.mark.parametrize("gates", [GATES, ()], ids=["gated", "plain"])
def test_values_of_all_own_actions_are_those_of_one_pass_each(gates: Gates) -> None:
    critic, rng = learner(nearest_agents(RING), gates=gates).critic, np.random.default_rng(2)
    states = torch.tensor(rng.standard_normal((AGENTS, 7, 4 * INPUTS)), dtype=torch.float32)
    actions = torch.eye(CHOICES)[torch.tensor(rng.integers(CHOICES, size=(AGENTS, 7, 4)))].flatten(2)
    together = critic.of_own_actions(critic.join(states, actions.clone()))
    for choice in range(CHOICES):
        actions[:, :, :CHOICES] = torch.eye(CHOICES)[choice]
        torch.testing.assert_close(together[:, :, choice], critic(states, actions)[:, :, 0], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("actor_gradient", ["expected", "gumbel"])
def test_pairs_learn_to_take_different_rbs_as_their_observation_asks(actor_gradient: Any) -> None:
    """Two pairs, two RBs, one bit seen by both: RB 0 is pair 0's if the bit is 0, else pair 1's. 1 each if apart as
    the bit asks, 0.3 if apart the other way, 0 on the same RB."""
    nets: dict[str, Any] = {"actor_hidden": (32,), "critic_hidden": (32, 32), "actor_rate": 1e-3}
    params = Maac(discount=0.5, actor_gradient=actor_gradient, **nets)
    it = MaacLearner(params, inputs=1, n_actions=2, critic_inputs=all_agents(2), gates=((0, 0),), seed=1)
    rng = np.random.default_rng(1)
    for first in range(0, 1500, 10):
        it.add(_matching(it, rng, first))
        it.learn(10)
    for bit in (0, 1):
        seen = np.full((1, 1), 2 * bit - 1, np.float32)
        assert [int(Mlp(it.weights(n))(seen).argmax()) for n in (0, 1)] == [bit, 1 - bit]


def _matching(it: MaacLearner, rng: np.random.Generator, first: int) -> Transitions:
    bits = rng.integers(2, size=11)
    states: Floats = np.repeat(2 * bits - 1, 2).reshape(11, 1, 2, 1).astype(np.float32)
    nets = [Mlp(it.weights(n)) for n in (0, 1)]
    logits = np.stack([nets[n](states[:10, 0, n]) for n in (0, 1)], axis=1)  # [10, 2, 2]
    actions = (logits + rng.gumbel(size=logits.shape)).argmax(axis=2)
    actions = np.where(rng.random(actions.shape) < 0.2, rng.integers(2, size=actions.shape), actions)
    apart, as_asked = actions[:, 0] != actions[:, 1], actions[:, 0] == bits[:10]
    reward = np.where(apart, np.where(as_asked, 1.0, 0.3), 0.0).astype(np.float32)
    return Transitions(states, actions[:, None], np.repeat(reward, 2).reshape(10, 1, 2), first)
