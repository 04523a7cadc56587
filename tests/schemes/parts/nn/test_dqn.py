"""Deep Q-learning against plain loops, its targets, and restarts mid-training."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from protocol.determinism.snapshots import pack, unpack
from protocol.messages.episodes import TERMINATED, TRUNCATED
from schemes.parts.learner_settings import DqnSettings, RecurrentDqnSettings
from schemes.parts.nn.dqn import DeepQLearner, q_loss, q_targets
from schemes.parts.nn.gradients import move_target
from schemes.parts.nn.learning import Independent
from schemes.parts.nn.recurrent_dqn import RecurrentQLearner
from schemes.parts.numpy_nets import Architecture, Network
from schemes.parts.numpy_nets.architecture import DuelingHead, Gru, Linear, Lstm, mlp
from schemes.parts.replay import Transitions

ARCHITECTURE = mlp(3, (8,), DuelingHead(4), activation="elu", layer_norm=True)
SETTINGS = DqnSettings(batch=8, replay_capacity=100, target_every=3, tau=0.5)


def transitions(slots: int = 30, first_slot: int = 0) -> Transitions:
    rng = np.random.default_rng(first_slot)
    states = rng.standard_normal((slots + 1, 2, 1, 3)).astype(np.float32)
    rewards = 3 * rng.standard_normal((slots, 2, 1)).astype(np.float32)
    return Transitions(states, rng.integers(4, size=(slots, 2, 1)), rewards, first_slot)


def trained(updates: int, settings: DqnSettings = SETTINGS) -> DeepQLearner:
    it = DeepQLearner(settings, ARCHITECTURE, seed=1)
    it.add(transitions())
    it.learn(updates)
    return it


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("threshold", [0.0, 0.5])
def test_the_loss_equals_a_plain_loop(double: bool, threshold: float) -> None:
    rng = np.random.default_rng(1)
    q, following, online = rng.standard_normal((3, 5, 4)).astype(np.float32)
    rewards, actions, alive = rng.standard_normal(5), rng.integers(4, size=5), rng.integers(2, size=5)
    y = q_targets(
        torch.tensor(rewards),
        torch.tensor(alive),
        torch.tensor(following),
        torch.tensor(online) if double else None,
        discount=0.9,
    )
    total = 0.0
    for b in range(5):
        best = max(range(4), key=lambda a: (online if double else following)[b][a])
        target = rewards[b] + (0.9 * following[b][best] if alive[b] else 0.0)
        assert float(y[b]) == pytest.approx(target, rel=1e-5)
        error = abs(q[b][actions[b]] - target)
        is_linear = threshold and error > threshold
        total += threshold * (error - threshold / 2) if is_linear else error**2 / 2
    loss = q_loss(torch.tensor(q), torch.tensor(actions), y, huber_threshold=threshold)
    assert float(loss) == pytest.approx(total / 5, rel=1e-5)


def test_the_learners_loss_is_of_the_minibatch_and_both_networks() -> None:
    it = trained(7)
    minibatch = it.replay.sample(np.random.default_rng(1), 8)
    nets = [Network(ARCHITECTURE, module.arrays()) for module in (it.net, it.target)]
    q, _ = (net(minibatch.states[:, 0]) for net in nets)
    online, following = (net(minibatch.next_states[:, 0]) for net in nets)
    errors = []
    for b in range(8):
        ahead = following[b, online[b].argmax()] * minibatch.not_terminal[b]
        error = abs(q[b, minibatch.actions[b, 0]] - minibatch.rewards[b, 0] - 0.99 * ahead)
        errors.append(error**2 / 2 if error < 1 else error - 0.5)
    assert float(it.loss(minibatch)[0].detach()) == pytest.approx(float(np.mean(errors)), rel=1e-4)


def test_targets_are_copied_or_follow_softly() -> None:
    it = trained(2)
    before = it.target.arrays()
    assert all((before[name] == array).all() for name, array in trained(0).net.arrays().items())
    it.learn(1)  # the third
    for name, array in it.target.arrays().items():
        np.testing.assert_allclose(array, (before[name] + it.net.arrays()[name]) / 2, atol=1e-7)
    move_target(it.target, it.net, 1.0)
    assert all((it.target.arrays()[name] == array).all() for name, array in it.net.arrays().items())


@pytest.mark.parametrize("optimiser", ["adam", "rmsprop"])
@pytest.mark.parametrize("before", [0, 4])
def test_a_loaded_learner_continues_bit_by_bit(optimiser: str, before: int) -> None:
    settings = replace(SETTINGS, optimiser="adam" if optimiser == "adam" else "rmsprop")
    whole, loaded = trained(before, settings), DeepQLearner(settings, ARCHITECTURE, seed=1)
    loaded.load(unpack(pack(whole.save())))
    for each in (whole, loaded):
        each.add(transitions(10, 30))
        each.learn(5)
    assert pack(whole.save()) == pack(loaded.save())


def test_recurrent_networks_are_rejected() -> None:
    with pytest.raises(ValueError, match="RecurrentQLearner is for architectures with Lstm or Gru"):
        DeepQLearner(SETTINGS, mlp(3, (8,), Lstm(4)), seed=1)


def test_nothing_is_learnt_without_a_minibatch() -> None:
    it = DeepQLearner(SETTINGS, ARCHITECTURE, seed=1)
    it.add(transitions(3))
    assert it.learn(3) == {}
    it.add(transitions(1, 3))
    assert it.learn(3)
    assert it.updates == 3


def test_learners_of_several_nodes_differ_and_each_learns_from_its_own_rows() -> None:
    """Of three agents one has too few valid rows: it learns nothing yet, the others as each would by itself."""
    one = transitions()
    joint = Transitions(
        np.repeat(one.states, 3, axis=2),
        np.repeat(one.actions.astype(np.int64), 3, axis=2),
        np.repeat(one.rewards, 3, axis=2),
    )
    valid = np.ones(joint.actions.shape, bool)
    valid[3:, :, 2] = False
    alone = [DeepQLearner(SETTINGS, ARCHITECTURE, seed=1, node=node) for node in range(3)]
    together = Independent([DeepQLearner(SETTINGS, ARCHITECTURE, seed=1, node=node) for node in range(3)])
    together.add(replace(joint, valid=valid))
    stats = together.learn(5)
    for node, it in enumerate(alone):
        it.add(replace(joint, valid=valid).of_agent(node))
    means = [it.learn(5) for it in alone]
    assert means[2] == {}
    assert stats == {key: float(np.mean([mean[key] for mean in means[:2]])) for key in ("loss", "mean_q")}
    for node, it in enumerate(alone):
        assert all((together.weights(node)[name] == weight).all() for name, weight in it.weights().items())
    assert pack(alone[0].save()) != pack(alone[1].save())


def test_the_loss_of_sequences_equals_a_slot_by_slot_pass_of_numpy_networks() -> None:
    """Episodes end at random; carried states are recomputed from the burn-in on."""
    settings = RecurrentDqnSettings(batch=6, burn_in_slots=2, sequence_slots=4, target_every=2, huber_threshold=0.0)
    architecture = Architecture(3, (Lstm(5), Linear(4)))
    it = RecurrentQLearner(settings, architecture, seed=1)
    ended = np.random.default_rng(2).choice([0, TERMINATED, TRUNCATED], (30, 2), p=[0.7, 0.15, 0.15]).astype(np.uint8)
    it.add(replace(transitions(), ended=ended, valid=np.random.default_rng(3).random((30, 2, 1)) < 0.9))
    it.learn(3)
    online, target = (Network(architecture, module.arrays()) for module in (it.net, it.target))
    batch = it.replay.sample_sequences(np.random.default_rng(1), 6, burn_in=2, slots=4)
    errors = []
    for b in range(6):
        h, h_target = online.first_state(1), target.first_state(1)
        q, q_target = [], []
        for t in range(7):
            if batch.begins[t, b]:
                h, h_target = online.first_state(1), target.first_state(1)
            y, h = online.step(batch.states[t, b], h)
            q.append(y[0])
            y, h_target = target.step(batch.states[t, b], h_target)
            q_target.append(y[0])
        for t in range(4):
            if batch.valid[t, b, 0]:
                after = 2 + t if batch.truncated[t, b] else 3 + t
                ahead = q_target[after][q[after].argmax()] * batch.not_terminal[t, b]
                errors.append(q[2 + t][batch.actions[t, b, 0]] - batch.rewards[t, b, 0] - 0.99 * ahead)
    assert 6 <= len(errors) < 24
    loss = float(it.sequence_loss(batch)[0].detach())
    assert loss == pytest.approx(float(np.mean(np.square(errors))) / 2, rel=1e-4)


def test_a_loaded_learner_of_sequences_continues_bit_by_bit() -> None:
    settings = RecurrentDqnSettings(batch=4, burn_in_slots=2, sequence_slots=4)
    whole, loaded = (RecurrentQLearner(settings, Architecture(3, (Gru(5), Linear(4))), seed=1) for _ in range(2))
    whole.add(transitions())
    whole.learn(3)
    loaded.load(unpack(pack(whole.save())))
    for each in (whole, loaded):
        each.learn(2)
    assert pack(whole.save()) == pack(loaded.save())
