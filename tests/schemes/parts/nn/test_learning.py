"""Every learner, alone per agent, pooled and together, solves a small problem with a known optimum."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from schemes.parts.critic_inputs import CriticInputs, all_agents, own_agent
from schemes.parts.distributions import Categorical, ClippedGaussian, Distribution
from schemes.parts.learner_settings import (
    DqnSettings,
    PpoSettings,
    RecurrentDqnSettings,
    Td3Settings,
    TrustRegionSettings,
)
from schemes.parts.nn.dqn import DeepQLearner
from schemes.parts.nn.learning import Independent, LearnerOf, Pooled, Together
from schemes.parts.nn.on_policy import OnPolicyLearner
from schemes.parts.nn.recurrent_dqn import RecurrentQLearner
from schemes.parts.nn.td3 import Td3Learner
from schemes.parts.numpy_nets import Architecture
from schemes.parts.numpy_nets.architecture import Activation, DuelingHead, GaussianHead, Linear, Lstm, mlp
from schemes.parts.replay import Transitions
from schemes.parts.rollout import Rollout
from tests.schemes.parts.nn.small_problems import (
    Acting,
    Aim,
    Coordination,
    Players,
    Problem,
    Recall,
    TwoStates,
    by_distribution,
    greedy_but,
    play,
    score,
    transitions_of,
    with_noise,
)

SEEDS = (1, 2, 3)
ENOUGH = 0.95
PPO = PpoSettings(policy_rate=0.02, value_rate=0.02, epochs=3, discount=0.9, rows_per_iteration=1)
A2C = replace(PPO, epochs=1, normalise_values=False, clip_values=False, huber_threshold=0.0)
TRPO = TrustRegionSettings(
    rows_per_iteration=1, discount=0.9, value_rate=0.02, max_kl=0.05, value_minibatches=1, value_epochs=10
)
DQN = DqnSettings(discount=0.9, rate=5e-3, target_every=20)
TD3 = Td3Settings(policy_rate=6e-3, value_rate=0.03, batch=64, tau=0.05, discount=0.9)


class OnPolicy:
    """A problem, and how a policy for it looks. `joint`: one policy for all agents."""

    def __init__(self, problem: Problem, kind: Distribution, *layers: Any, joint: bool = False) -> None:
        self.problem, self.kind, self.joint = problem, kind, joint
        self.policy = Architecture(problem.inputs * (problem.agents if joint else 1), layers)
        self.value = Architecture(self.policy.inputs, (*layers[:-1], Linear(1)))

    def learner(self, settings: PpoSettings | TrustRegionSettings, seed: int, node: int = 0) -> OnPolicyLearner:
        return OnPolicyLearner(
            settings, policy=self.policy, distribution=self.kind, value=self.value, seed=seed, node=node
        )

    def solve(
        self, learner: LearnerOf[Rollout], *, iterations: int, episodes: int = 1, seed: int
    ) -> tuple[float, float]:
        """The scores before and after learning from 32 replicas of so many episodes per iteration."""
        rng, before = np.random.default_rng(seed), score(self.problem, self._players(learner))
        for _ in range(iterations):
            learner.add(play(self.problem, self._players(learner), 32, episodes, rng))
            assert learner.learn(1)
        return before, score(self.problem, self._players(learner))

    def _players(self, learner: LearnerOf[Rollout]) -> Players:
        weights = [learner.weights(n) for n in range(1 if self.joint else self.problem.agents)]
        return Players(self.policy, weights, by_distribution(self.kind))


def hidden_tanh() -> tuple[Linear, Activation]:
    return Linear(16), Activation("tanh")


def two_states() -> OnPolicy:
    return OnPolicy(TwoStates(2), Categorical((2,)), *hidden_tanh(), Linear(2))


@pytest.mark.parametrize("seed", SEEDS)
def test_independent_ppo_finds_the_distant_reward(seed: int) -> None:
    it = two_states()
    learner = Independent([it.learner(PPO, seed, node) for node in range(2)])
    assert it.solve(learner, iterations=12, seed=seed)[1] >= ENOUGH


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("settings", "iterations"), [(PPO, 12), (A2C, 25), (TRPO, 25)], ids=["ppo", "a2c", "trpo"])
def test_a_pooled_policy_finds_the_distant_reward(
    settings: PpoSettings | TrustRegionSettings, iterations: int, seed: int
) -> None:
    it = two_states()
    assert it.solve(Pooled(it.learner(settings, seed)), iterations=iterations, seed=seed)[1] >= ENOUGH


@pytest.mark.parametrize("seed", SEEDS)
def test_independent_agents_coordinate(seed: int) -> None:
    it = OnPolicy(Coordination(), Categorical((3,)), *hidden_tanh(), Linear(3))
    learner = Independent([it.learner(PPO, seed, node) for node in range(2)])
    assert it.solve(learner, iterations=20, seed=seed)[1] >= ENOUGH


@pytest.mark.parametrize("seed", SEEDS)
def test_a_joint_policy_with_two_choices_coordinates(seed: int) -> None:
    it = OnPolicy(Coordination(), Categorical((3, 3)), *hidden_tanh(), Linear(6), joint=True)
    assert it.solve(Together(it.learner(PPO, seed)), iterations=20, seed=seed)[1] >= ENOUGH


@pytest.mark.parametrize("seed", SEEDS)
def test_an_lstm_remembers(seed: int) -> None:
    it = OnPolicy(Recall(), Categorical((2,)), Lstm(8), Linear(2))
    settings = replace(PPO, sequence_slots=6)  # two episodes each: the state is reset within a sequence
    assert it.solve(it.learner(settings, seed), iterations=15, episodes=2, seed=seed)[1] >= ENOUGH


def test_no_policy_recalls_without_memory() -> None:
    it = OnPolicy(Recall(), Categorical((2,)), *hidden_tanh(), Linear(2))
    assert it.solve(it.learner(PPO, 1), iterations=15, seed=1)[1] < 0.5


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("joint", [False, True])
def test_trust_regions_aim_with_clipped_gaussians(joint: bool, seed: int) -> None:
    size = 2 if joint else 1
    head = GaussianHead(size, std="free", first_log_std=-0.5)
    it = OnPolicy(Aim(2, team=joint), ClippedGaussian(size, -1, 1), *hidden_tanh(), head, joint=joint)
    learner = it.learner(TRPO, seed)
    before, after = it.solve(Together(learner) if joint else Pooled(learner), iterations=20, episodes=2, seed=seed)
    assert before < 0.5
    assert after >= ENOUGH


def solve_off_policy(
    problem: Problem,
    learner: LearnerOf[Transitions],
    policy: Architecture,
    acting: Acting,
    *,
    updates: int,
    seed: int,
) -> tuple[float, float]:
    """The scores before and after 10 rounds of that many updates, from 64 episodes each."""
    rng = np.random.default_rng(seed)

    def players() -> Players:
        return Players(policy, [learner.weights(n) for n in range(problem.agents)], acting)

    before = score(problem, players())
    for _ in range(10):
        for transitions in transitions_of(play(problem, players(), 64, 1, rng)):
            learner.add(transitions)
        assert learner.learn(updates)
    return before, score(problem, players())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("pooled", [False, True])
def test_deep_q_learning_finds_the_distant_reward(pooled: bool, seed: int) -> None:
    architecture = mlp(2, (16,), DuelingHead(2))
    learners = [DeepQLearner(DQN, architecture, seed=seed, node=node) for node in range(2)]
    learner: LearnerOf[Transitions] = Pooled(learners[0]) if pooled else Independent(learners)
    assert solve_off_policy(TwoStates(2), learner, architecture, greedy_but(0.3), updates=16, seed=seed)[1] >= ENOUGH


@pytest.mark.parametrize("seed", SEEDS)
def test_an_lstm_of_q_values_remembers(seed: int) -> None:
    architecture = Architecture(2, (Lstm(8), Linear(2)))
    settings = RecurrentDqnSettings(
        discount=0.9, rate=2e-2, target_every=10, batch=16, sequence_slots=6, burn_in_slots=2
    )
    learner = RecurrentQLearner(settings, architecture, seed=seed)
    assert solve_off_policy(Recall(), learner, architecture, greedy_but(0.3), updates=16, seed=seed)[1] >= ENOUGH


@pytest.mark.parametrize("seed", SEEDS[:2])
@pytest.mark.parametrize(
    ("known", "shared", "mixing_units", "team", "updates"),
    [(own_agent(2), True, 0, False, 24), (all_agents(2), False, 0, True, 20), (own_agent(2), True, 4, True, 36)],
    ids=["td3", "maddpg", "td3-mix"],
)
def test_deterministic_policies_aim(
    known: CriticInputs, shared: bool, mixing_units: int, team: bool, updates: int, seed: int
) -> None:
    policy = Architecture(1, (Linear(8), Activation("tanh"), Linear(1), Activation("tanh")))
    value = mlp(2 * len(known[0]), (32,), Linear(1))
    settings = replace(TD3, shared=shared, mixing_units=mixing_units)
    learner = Td3Learner(settings, policy=policy, value=value, critic_inputs=known, seed=seed)
    before, after = solve_off_policy(Aim(2, team=team), learner, policy, with_noise(0.4), updates=updates, seed=seed)
    assert before < 0.5
    assert after >= ENOUGH
