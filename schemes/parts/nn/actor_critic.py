"""A policy and a value network: what every on-policy learner improves."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from schemes.parts.distributions import Distribution
from schemes.parts.nn.modules import Net
from schemes.parts.nn.policies import policy_of
from schemes.parts.nn.sequences import Sequences, sequences_of
from schemes.parts.nn.store import restore_module, snapshot_module
from schemes.parts.nn.value_norm import ValueNorm
from schemes.parts.numpy_nets import Architecture, draw, draw_policy
from schemes.parts.rollout import Rollout


class ActorCritic:
    """`policy`: the network whose outputs `distribution` reads; `value`: one output, from states or critic states.

    ValueError if the policy's outputs are not the distribution's, or the value network has several.
    """

    def __init__(
        self, policy: Architecture, distribution: Distribution, value: Architecture, rng: np.random.Generator
    ) -> None:
        if policy.outputs != distribution.outputs or value.outputs != 1:
            raise ValueError(
                f"a policy with {policy.outputs} outputs for {distribution}, a value network with {value.outputs}: "
                f"expected {distribution.outputs} and 1"
            )
        self.policy = Net(policy, draw_policy(policy, rng))
        self.value = Net(value, draw(value, rng, initial="orthogonal"))
        self.distribution, self.value_norm = policy_of(distribution), ValueNorm()

    @property
    def is_recurrent(self) -> bool:
        """Whether either network carries a state."""
        return bool(self.policy.architecture.state_size + self.value.architecture.state_size)

    def log_probs(self, sequences: Sequences) -> Tensor:
        """Of the actions that were taken, [L, B]."""
        return self.distribution.log_prob(sequences.policy_outputs(self.policy), sequences.actions)

    def sequences(self, rollout: Rollout, *, discount: float, trace_decay: float, slots: int) -> Sequences:
        """The rollout with advantages, in sequences of `slots` if a network is recurrent, else of single rows.

        Without log-probabilities it gets those of the present policy."""
        sequences = sequences_of(
            rollout,
            self.policy,
            self.value,
            self.value_norm,
            discount=discount,
            trace_decay=trace_decay,
            slots=slots if self.is_recurrent else 1,
        )
        if rollout.log_probs is not None:
            return sequences
        with torch.no_grad():
            return replace(sequences, log_probs=self.log_probs(sequences))

    def snapshot(self) -> dict[str, Any]:
        """All state."""
        return {
            "policy": snapshot_module(self.policy),
            "value": snapshot_module(self.value),
            "value_norm": self.value_norm.snapshot(),
        }

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        restore_module(self.policy, data["policy"])
        restore_module(self.value, data["value"])
        self.value_norm.restore(data["value_norm"])
