"""Random rollouts and small actor-critics for the tests of on-policy learners."""

from typing import Any

import numpy as np

from schemes.parts.distributions import Categorical, ClippedGaussian, Distribution
from schemes.parts.learner_settings import PpoSettings, TrustRegionSettings
from schemes.parts.nn.on_policy import OnPolicyLearner
from schemes.parts.numpy_nets import Architecture, Network
from schemes.parts.numpy_nets.architecture import GaussianHead, Gru, Linear, Lstm, mlp
from schemes.parts.rollout import Rollout

INPUTS = 3
CHOICES = Categorical((2, 3))
POWERS = ClippedGaussian(2, -0.5, 0.5)


def architectures(kind: Distribution, *, recurrent: bool) -> tuple[Architecture, Architecture]:
    """Policy and value network."""
    head = Linear(5) if kind is CHOICES else GaussianHead(2, std="free", first_log_std=-0.5)
    if recurrent:
        return Architecture(INPUTS, (Lstm(4), head)), Architecture(INPUTS, (Gru(5), Linear(1)))
    return mlp(INPUTS, (6,), head, activation="tanh"), mlp(INPUTS, (6,), Linear(1), activation="elu")


def learner(
    settings: PpoSettings | TrustRegionSettings, kind: Distribution = CHOICES, *, recurrent: bool = False
) -> OnPolicyLearner:
    policy, value = architectures(kind, recurrent=recurrent)
    return OnPolicyLearner(settings, policy=policy, distribution=kind, value=value, seed=1)


def rollout(
    it: OnPolicyLearner, kind: Distribution = CHOICES, *, slots: int = 7, seed: int = 1, **changed: Any
) -> Rollout:
    """Two agents in two replicas that act by the learner's policy on random states, episodes ending at random."""
    rng = np.random.default_rng(seed)
    states, following = rng.standard_normal((2, slots, 2, 2, INPUTS)).astype(np.float32)
    ends = rng.random((2, slots, 2)) < 0.2
    net = Network(it.improvement.nets.policy.architecture, it.weights())
    hidden = first = rng.standard_normal((4, net.architecture.state_size)).astype(np.float32)
    actions, log_probs = [], []
    for t in range(slots):
        outputs, hidden = net.step(states[t].reshape(4, INPUTS), hidden)
        actions.append(kind.sample(outputs, rng))
        log_probs.append(kind.log_prob(outputs, actions[-1]).reshape(2, 2))
        hidden = np.where(np.repeat(ends[:, t].any(0), 2)[:, None], np.float32(0), hidden)
    made: dict[str, Any] = {
        "states": states,
        "actions": np.stack(actions).reshape(slots, 2, 2, -1),
        "rewards": rng.standard_normal((slots, 2, 2)).astype(np.float32),
        "next_states": following,
        "log_probs": np.stack(log_probs),
        "terminated": ends[0],
        "truncated": ends[1],
        "valid": rng.random((slots, 2, 2)) < 0.8,
        "hidden": first.reshape(1, 2, 2, -1),
    }
    return Rollout(**(made | changed))
