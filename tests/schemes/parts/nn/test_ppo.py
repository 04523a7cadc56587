"""PPO: sequences against a slot-by-slot pass, losses against plain loops, A2C's gradient, restarts mid-training."""

from dataclasses import replace
from math import exp, log

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from protocol.determinism.snapshots import pack, unpack
from schemes.parts.distributions import Distribution
from schemes.parts.gae import gae
from schemes.parts.learner_settings import PpoSettings, TrustRegionSettings
from schemes.parts.nn.on_policy import OnPolicyLearner
from schemes.parts.nn.ppo import Ppo, clipped_surrogate, minibatches, value_loss
from schemes.parts.nn.sequences import Sequences, joined
from schemes.parts.numpy_nets import Network
from schemes.parts.numpy_nets.architecture import Linear, mlp
from tests.schemes.parts.nn.rollouts import CHOICES, POWERS, architectures, learner, rollout

SETTINGS = PpoSettings(rows_per_iteration=28, sequence_slots=3, epochs=2, minibatches=3, policy_rate=0.01)


def sequences(it: OnPolicyLearner, slots: int = 3, seed: int = 1) -> Sequences:
    return it.improvement.nets.sequences(rollout(it, seed=seed), discount=0.9, trace_decay=0.8, slots=slots)


def back(cut: Tensor) -> npt.NDArray[np.float32]:
    """Sequences [L, n 4] as the rows [7, 4] they were cut from."""
    slots, columns = cut.shape
    rows: npt.NDArray[np.float32] = cut.detach().numpy().reshape(slots, columns // 4, 4).swapaxes(0, 1).reshape(-1, 4)
    return rows[:7]


@pytest.mark.parametrize("recurrent", [False, True])
def test_sequences_equal_a_slot_by_slot_pass_of_numpy_networks(recurrent: bool) -> None:
    """Advantages and values of the whole rollout; every row once, after its hidden state."""
    it = learner(SETTINGS, recurrent=recurrent)
    nets, made = it.improvement.nets, rollout(it)
    nets.value_norm.update(torch.tensor([1.0, 4.0, 9.0]))
    value = Network(nets.value.architecture, nets.value.arrays())
    state, ended = value.first_state(4), np.zeros(4, bool)
    values, following = [], []
    for t in range(7):
        state = np.where(ended[:, None], np.float32(0), state)
        v, state = value.step(made.states[t].reshape(4, -1), state)
        values.append(v[:, 0])
        following.append(value.step(made.next_states[t].reshape(4, -1), state)[0][:, 0])
        ended = np.repeat(made.terminated[t] | made.truncated[t], 2)
    mean, deviation = nets.value_norm.mean, nets.value_norm.deviation
    assert made.valid is not None
    valid = made.valid.reshape(7, 4)
    truncated = np.repeat(made.truncated, 2, 1)
    truncated[:-1] |= ~valid[1:]  # no sum runs over a row that does not count
    expected = gae(
        made.rewards.reshape(7, 4),
        np.stack(values) * deviation + mean,
        np.stack(following) * deviation + mean,
        np.repeat(made.terminated, 2, 1),
        truncated,
        discount=0.9,
        trace_decay=0.8,
    )
    cut = nets.sequences(made, discount=0.9, trace_decay=0.8, slots=3)
    slots, columns = (3, 12) if recurrent else (1, 28)
    assert cut.valid.shape == (slots, columns)
    np.testing.assert_allclose(back(cut.advantages), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(back(cut.values), np.stack(values), rtol=1e-4, atol=1e-5)
    assert (back(cut.valid) == valid).all()
    assert float(cut.valid.sum()) == made.valid.sum()  # padding does not count
    # the policy as it was acted by, through every reset and from every sequence's hidden state
    assert made.log_probs is not None
    np.testing.assert_allclose(back(nets.log_probs(cut)), made.log_probs.reshape(7, 4), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(back(cut.value_outputs(nets.value)), np.stack(values), rtol=1e-4, atol=1e-5)


def test_surrogate_and_value_loss_equal_plain_loops() -> None:
    rng = np.random.default_rng(1)
    now, old, advantages, values, old_values, returns = rng.standard_normal((6, 50))
    surrogate = clipped_surrogate(*map(torch.tensor, (now, old, advantages)), clip=0.2)
    for threshold in (0.0, 0.6):
        losses = value_loss(*map(torch.tensor, (values, old_values, returns)), clip=0.2, huber_threshold=threshold)
        plain = value_loss(*map(torch.tensor, (values, old_values, returns)), clip=None, huber_threshold=threshold)
        for i in range(50):
            penalties = []
            for v in (values[i], old_values[i] + min(max(values[i] - old_values[i], -0.2), 0.2)):
                e = abs(v - returns[i])
                penalties.append(threshold * (e - threshold / 2) if threshold and e > threshold else e * e / 2)
            assert float(losses[i]) == pytest.approx(max(penalties))
            assert float(plain[i]) == pytest.approx(penalties[0])
    for i in range(50):
        ratio = exp(now[i] - old[i])
        clipped = min(max(ratio, 0.8), 1.2)
        assert float(surrogate[i]) == pytest.approx(min(ratio * advantages[i], clipped * advantages[i]))


def test_losses_are_means_over_the_valid_rows() -> None:
    it = learner(SETTINGS)
    assert isinstance(it.improvement, Ppo)
    part = sequences(it)
    shifted = replace(part, log_probs=part.log_probs - 0.05)  # every ratio is exp(0.05), unclipped
    policy, _, entropy, divergence = (float(x.detach()) for x in it.improvement.losses(shifted))
    rows = [(float(a), float(v)) for a, v in zip(part.advantages[0], part.valid[0], strict=True)]
    valid = sum(v for _, v in rows)
    gain = sum(exp(0.05) * a * v for a, v in rows) / valid
    assert policy == pytest.approx(-gain - 0.01 * entropy, rel=1e-3)
    assert entropy == pytest.approx(log(2) + log(3), rel=1e-3)  # a head gain of 0.01 begins near uniform
    assert divergence == pytest.approx(exp(0.05) - 1 - 0.05, rel=0.05)


def test_one_epoch_is_a2c() -> None:
    """The gradient of the ratio at 1 is that of A log pi."""
    it = learner(replace(SETTINGS, entropy_weight=0.0))
    assert isinstance(it.improvement, Ppo)
    nets, part = it.improvement.nets, sequences(it)
    loss = it.improvement.losses(part)[0]
    plain = -part.mean(part.advantages * nets.log_probs(part))
    parameters = list(nets.policy.parameters())
    for one, other in zip(torch.autograd.grad(loss, parameters), torch.autograd.grad(plain, parameters), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-6)


def test_every_row_is_learnt_from_once_per_epoch_and_rollouts_join() -> None:
    it = learner(SETTINGS, recurrent=True)
    both = joined([sequences(it, seed=1), sequences(it, seed=2)])
    assert both.columns == 24
    parts = list(minibatches(both, 5, np.random.default_rng(1)))
    seen = torch.cat([part.log_probs for part in parts], 1)
    torch.testing.assert_close(seen.flatten().sort()[0], both.log_probs.flatten().sort()[0])
    assert {part.columns for part in parts} == {4, 5}


@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("kind", [CHOICES, POWERS], ids=str)
@pytest.mark.parametrize(
    "settings",
    [
        SETTINGS,
        replace(SETTINGS, optimiser="rmsprop"),
        TrustRegionSettings(rows_per_iteration=28, value_epochs=2, value_minibatches=2),
    ],
)
def test_a_loaded_learner_continues_bit_by_bit(
    settings: PpoSettings | TrustRegionSettings, kind: Distribution, recurrent: bool
) -> None:
    whole, loaded = (learner(settings, kind, recurrent=recurrent) for _ in range(2))
    whole.add(rollout(whole, kind))
    assert whole.learn(1)
    whole.add(rollout(whole, kind, slots=4, seed=2))  # too few rows yet
    assert whole.learn(1) == {}
    loaded.load(unpack(pack(whole.save())))
    for each in (whole, loaded):
        each.add(rollout(each, kind, seed=3))
        assert each.learn(1)
    assert whole.updates == loaded.updates == 2
    assert pack(whole.save()) == pack(loaded.save())


def test_invalid_rows_change_nothing() -> None:
    weights = []
    for scale in (1, 100):
        it = learner(SETTINGS)
        made = rollout(it)
        assert made.valid is not None
        it.add(replace(made, rewards=np.where(made.valid, made.rewards, scale * made.rewards).astype(np.float32)))
        it.learn(1)
        weights.append(pack(it.weights()))
    assert weights[0] == weights[1]


def test_a_value_network_may_see_more_than_the_policy() -> None:
    rng = np.random.default_rng(1)
    joint, following = rng.standard_normal((2, 7, 2, 2, 6)).astype(np.float32)
    policy, _ = architectures(CHOICES, recurrent=False)
    it = OnPolicyLearner(SETTINGS, policy=policy, distribution=CHOICES, value=mlp(6, (5,), Linear(1)), seed=1)
    made = replace(rollout(it), critic_states=joint, next_critic_states=following, valid=None)
    cut = it.improvement.nets.sequences(made, discount=0.9, trace_decay=0.0, slots=1)
    value = Network(it.improvement.nets.value.architecture, it.improvement.nets.value.arrays())
    v, ahead = (value(each.reshape(28, 6))[:, 0].reshape(7, 4) for each in (joint, following))
    terminated = np.repeat(made.terminated, 2, 1)
    expected = made.rewards.reshape(7, 4) + 0.9 * np.where(terminated, 0, ahead) - v
    np.testing.assert_allclose(back(cut.advantages), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", [CHOICES, POWERS])
def test_rows_before_the_first_weights_are_weighed_as_uniform_draws(kind: Distribution) -> None:
    """Policy version 0: as if the node had given log-probabilities, 1/2 1/3, or the density 1 of either power."""
    log_p = log(1 / 6) if kind is CHOICES else 0.0
    implied, given, of_policy = (learner(SETTINGS, kind) for _ in range(3))
    made = rollout(given, kind, log_probs=None, policy_versions=np.zeros((7, 2, 2), np.uint32))
    implied.add(made)
    given.add(replace(made, log_probs=np.full((7, 2, 2), log_p, np.float32)))
    of_policy.start([of_policy.weights()])
    of_policy.load(unpack(pack(of_policy.save())))
    of_policy.add(made)
    weights = []
    for it in (implied, given, of_policy):
        assert it.learn(1)
        weights.append(np.concatenate([w.ravel() for w in it.weights().values()]))
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_rows_of_no_weights_among_rows_of_some_are_dropped() -> None:
    it = learner(SETTINGS)
    versions = np.zeros((7, 2, 2), np.uint32)
    versions[3:] = 5
    it.add(rollout(it, log_probs=None, policy_versions=versions, valid=None))
    assert it.rows_taken == 4 * 4
