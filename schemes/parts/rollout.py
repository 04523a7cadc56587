"""What a policy did over a stretch of slots, as arrays: the input of learners that learn on-policy."""

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from schemes.parts.replay import as_replicas

Floats = npt.NDArray[np.float32]
Flags = npt.NDArray[np.bool_]
Array = npt.NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """T contiguous slots of N agents in E replicas.

    `next_states`: what followed in the same episode, which after a truncated slot is not the state of the next slot;
    after a terminated one it has no meaning. `log_probs`: of all of an agent's actions under the policy that acted;
    None: they are to be computed, because the learner's present policy has acted. `policy_versions`: of the weights by
    which an agent acted, from which a learner knows the rows of older policies.
    `valid`: False for an agent's row that must not be learnt from. `hidden`: the carried state of the agent's recurrent
    policy before the first slot; it is zero again where an episode begins, and where a new policy version acts.
    `critic_states`: what the value network sees, where that is not `states`.
    """

    states: Floats  # [T, E, N, S]
    actions: Array  # [T, E, N, K] choices or continuous
    rewards: Floats  # [T, E, N]
    next_states: Floats  # [T, E, N, S]
    log_probs: Floats | None  # [T, E, N]
    terminated: Flags  # [T, E]
    truncated: Flags  # [T, E]
    valid: Flags | None = None  # [T, E, N]; None: all
    hidden: Floats | None = None  # [1, E, N, H]; None: zeros
    critic_states: Floats | None = None  # [T, E, N, C]
    next_critic_states: Floats | None = None  # [T, E, N, C]
    policy_versions: npt.NDArray[np.uint32] | None = None  # [T, E, N]

    @property
    def rows(self) -> int:
        """T E N"""
        return self.rewards.size

    @property
    def usable_rows(self) -> int:
        """How many of them are valid."""
        return self.rows if self.valid is None else int(np.count_nonzero(self.valid))

    def newer_than(self, policy_version: int) -> "Rollout":
        """The same with only rows of later versions valid, if it has versions."""
        if self.policy_versions is None:
            return self
        later = self.policy_versions.astype(np.int64) > policy_version
        return replace(self, valid=later if self.valid is None else later & self.valid)

    @property
    def newest_version(self) -> int:
        """Of the valid rows; -1 without versions."""
        if self.policy_versions is None or not self.usable_rows:
            return -1
        return int(self.policy_versions.max() if self.valid is None else self.policy_versions[self.valid].max())

    def of_agent(self, agent: int) -> "Rollout":
        """One agent's rows alone, N = 1."""
        return replace(self, **{name: array[:, :, agent : agent + 1] for name, array in self._by_agent()})

    def pooled(self) -> "Rollout":
        """All agents as replicas of one, N = 1."""
        agents = self.rewards.shape[2]
        return replace(
            self,
            terminated=np.repeat(self.terminated, agents, axis=1),
            truncated=np.repeat(self.truncated, agents, axis=1),
            **{name: as_replicas(array) for name, array in self._by_agent()},
        )

    def together(self) -> "Rollout":
        """All agents as one, N = 1: states and actions in a row, the sum of the rewards, valid where all are."""
        in_a_row = {n: a.reshape(*a.shape[:2], 1, a[0, 0].size) for n, a in self._by_agent() if a.ndim == 4}
        return replace(
            self,
            **in_a_row,
            rewards=self.rewards.sum(axis=2, keepdims=True),
            log_probs=None if self.log_probs is None else self.log_probs.sum(axis=2, keepdims=True),
            valid=None if self.valid is None else np.asarray(self.valid.all(axis=2, keepdims=True)),
            policy_versions=None if self.policy_versions is None else self.policy_versions.min(axis=2, keepdims=True),
        )

    def snapshot(self) -> dict[str, Array | None]:
        """The arrays by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def _by_agent(self) -> list[tuple[str, Array]]:
        """The arrays that have an axis of agents, by name."""
        return [(name, array) for name, array in self.snapshot().items() if array is not None and array.ndim > 2]
