"""Every learner, alone per agent, pooled and together, solves a small problem with a known optimum."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from schemes.parts.critic_inputs import all_agents, own_agent
from schemes.parts.distributions import Categorical, ClippedGaussian, Distribution, Gaussian
from schemes.parts.learner_settings import DqnSettings, PpoSettings, Td3Settings, TrustRegionSettings
from schemes.parts.nn.dqn import DeepQLearner
from schemes.parts.nn.learning import Independent, LearnerOf, Pooled, Together
from schemes.parts.nn.on_policy import OnPolicyLearner
from schemes.parts.nn.td3 import Td3Learner
from schemes.parts.numpy_nets import Architecture, draw
from schemes.parts.numpy_nets.architecture import Activation, DuelingHead, GaussianHead, Linear, Lstm, mlp
from schemes.parts.replay import Transitions
from schemes.parts.rollout import Rollout
from tests.schemes.parts.nn.small_problems import (
    Aim,
    Coordination,
    Players,
    Problem,
    Recall,
    TwoStates,
    play,
    score,
    transitions_of,
)

SEEDS = (1, 2, 3)
ENOUGH = 0.95
PPO = PpoSettings(policy_rate=0.01, value_rate=0.01, epochs=4, discount=0.9, rows_per_iteration=1)
A2C = replace(PPO, epochs=1, normalise_values=False, clip_values=False, huber_threshold=0.0, trace_decay=1.0)
TRPO = TrustRegionSettings(rows_per_iteration=1, discount=0.9, value_rate=0.01, max_kl=0.05)
DQN = DqnSettings(discount=0.9, rate=5e-3, target_every=20)
TD3 = Td3Settings(policy_rate=3e-3, value_rate=1e-2, batch=32, tau=0.02, discount=0.9, mixing_units=0)


def on_policy(
    settings: PpoSettings | TrustRegionSettings, policy: Architecture, kind: Distribution, value: Architecture, **at: int
) -> OnPolicyLearner:
    return OnPolicyLearner(settings, policy=policy, distribution=kind, value=value, **at)


def solved_by_rollouts(
    problem: Problem, learner: LearnerOf[Rollout], policy: Architecture, kind: Distribution, *, joint: bool = False,
    iterations: int = 40, episodes: int = 1, seed: int = 1,
) -> float:
    """The score after learning from whole episodes of 32 replicas."""
    rng = np.random.default_rng(seed)

    def players() -> Players:
        return Players(policy, [learner.weights(n) for n in range(1 if joint else problem.agents)], kind)

    for _ in range(iterations):
        learner.add(play(problem, players(), 32, episodes, rng))
        assert learner.learn(1)
    return score(problem, players())
