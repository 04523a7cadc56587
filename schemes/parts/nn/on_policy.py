"""Learners that learn from what their present policy did. How they improve it is an argument: `Ppo`, `TrustRegion`.

All else they share: rows are collected, cut into sequences with the advantages of the value network so far, learnt from
in one iteration, and dropped.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from protocol.determinism.rng import CounterRng
from schemes.parts.distributions import Distribution
from schemes.parts.learner_settings import PpoSettings, TrustRegionSettings
from schemes.parts.nn.actor_critic import ActorCritic
from schemes.parts.nn.determinism import make_deterministic
from schemes.parts.nn.ppo import Ppo
from schemes.parts.nn.sequences import Sequences, joined
from schemes.parts.nn.trust_region import TrustRegion
from schemes.parts.numpy_nets import Architecture, Weights
from schemes.parts.replay import Floats
from schemes.parts.rollout import Rollout


class Improvement(Protocol):
    """`Ppo` or `TrustRegion`."""

    nets: ActorCritic

    def improve(self, sequences: Sequences, rng: np.random.Generator, /) -> dict[str, float]: ...
    def snapshot(self) -> dict[str, Any]: ...
    def restore(self, data: dict[str, Any], /) -> None: ...


class OnPolicyLearner:
    """Learns from `Rollout`s whose agents share one policy, once they have `settings.rows_per_iteration` rows.

    First weights are drawn at (seed, node), the order of the rows of iteration u at (seed, node, u).
    """

    def __init__(
        self,
        settings: PpoSettings | TrustRegionSettings,
        *,
        policy: Architecture,
        distribution: Distribution,
        value: Architecture,
        seed: int,
        node: int = 0,
    ) -> None:
        make_deterministic()
        self.settings, self.updates = settings, 0
        nets = ActorCritic(policy, distribution, value, CounterRng(seed, "learner", node).at(0))
        self.improvement: Improvement = (
            Ppo(settings, nets) if isinstance(settings, PpoSettings) else TrustRegion(settings, nets)
        )
        self._rng = CounterRng(seed, "updates", node)
        self._rollouts: list[Rollout] = []
        self.rows_taken = 0  # those that were not dropped
        self._learnt_version = -1  # the newest policy version that an iteration has learnt from
        self._starts_uniform = True  # version 0 is no network: nodes without weights draw uniformly

    def add(self, rollout: Rollout) -> None:
        """Collect rows of the present policy. Where they have policy versions, those that are not newer than the rows
        of the last iteration come from an older policy, and are dropped.

        Rows of version 0 of a learner that was given no weights to start from were drawn uniformly: they get these
        log-probabilities, so that the first iteration weighs them by what its policy would have done.
        """
        fresh = self._with_behaviour(rollout.newer_than(self._learnt_version))
        self.rows_taken += fresh.usable_rows
        if fresh.usable_rows:
            self._rollouts.append(fresh)

    def learn(self, updates: int) -> dict[str, float]:
        """One iteration on all rows collected, whatever the number of updates: rows are learnt from once.

        Nothing and {} while there are too few rows, or for 0 updates.
        """
        if updates < 1 or sum(rollout.rows for rollout in self._rollouts) < self.settings.rows_per_iteration:
            return {}
        sequences = joined([self._sequences(rollout) for rollout in self._rollouts])
        self._learnt_version = max(rollout.newest_version for rollout in self._rollouts)
        self._rollouts = []
        stats = self.improvement.improve(sequences, self._rng.at(self.updates))
        self.updates += 1
        return stats

    def weights(self, _node: int = 0) -> dict[str, Floats]:
        """The policy, for `numpy_nets.Network`."""
        return self.improvement.nets.policy.arrays()

    def start(self, weights: Sequence[Weights]) -> None:
        """The policy begins with these weights, the value network as it is drawn. ValueError for other shapes."""
        self.improvement.nets.policy.set_arrays(weights[0])
        self._starts_uniform = False

    def save(self) -> dict[str, Any]:
        """All state that `learn` depends on."""
        return {
            "updates": self.updates,
            "nets": self.improvement.nets.snapshot(),
            "improvement": self.improvement.snapshot(),
            "rollouts": [rollout.snapshot() for rollout in self._rollouts],
            "learnt_version": self._learnt_version,
            "rows_taken": self.rows_taken,
            "starts_uniform": self._starts_uniform,
        }

    def load(self, data: dict[str, Any]) -> None:
        """The inverse of `save`, for a learner of the same settings, architectures, seed and node."""
        self.updates = data["updates"]
        self.improvement.nets.restore(data["nets"])
        self.improvement.restore(data["improvement"])
        self._rollouts = [Rollout(**rollout) for rollout in data["rollouts"]]
        self._learnt_version, self.rows_taken = data["learnt_version"], data["rows_taken"]
        self._starts_uniform = data["starts_uniform"]

    def _with_behaviour(self, rollout: Rollout) -> Rollout:
        """Rows with the log-probabilities of a uniform draw, if that is how their actions came about."""
        log_prob = self.improvement.nets.distribution.distribution.uniform_log_prob
        if rollout.log_probs is not None or not self._starts_uniform or log_prob is None:
            return rollout
        if rollout.newest_version != 0:  # rows of version 0 among others are of an older policy
            return rollout.newer_than(0)
        return replace(rollout, log_probs=np.full(rollout.rewards.shape, log_prob, np.float32))

    def _sequences(self, rollout: Rollout) -> Sequences:
        settings = self.settings
        return self.improvement.nets.sequences(
            rollout,
            discount=settings.discount,
            trace_decay=settings.trace_decay,
            slots=settings.sequence_slots,
        )
