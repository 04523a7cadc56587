"""Joint trajectories of records to the arrays that learners store."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from protocol.messages.episodes import TERMINATED, TRUNCATED
from protocol.messages.spaces import Records
from schemes.parts.history import JointTrajectory
from schemes.parts.replay import Floats, Integers, Transitions
from schemes.parts.rollout import Rollout
from schemes.parts.sense import Vectoriser


class Experience:
    """`vector`: a state as the input of a network. `choice`: action records of any shape [...] as numbers, choices
    [...] or continuous ones [..., A]."""

    def __init__(self, vector: Vectoriser, choice: Callable[[Records], Integers | Floats]) -> None:
        self._vector, self._choice = vector, choice

    @property
    def inputs(self) -> int:
        """The size S of one agent's state."""
        return self._vector.inputs

    def transitions(self, joint: JointTrajectory) -> Transitions:
        """All agents' transitions, for learners with a replay."""
        return Transitions(
            self._states(joint), self._actions(joint), joint.rewards, joint.first_slot, joint.valid, joint.ended
        )

    def rollout(self, joint: JointTrajectory) -> Rollout:
        """All agents' rows, for learners that learn on-policy. A row has no log-probability: see `Rollout`."""
        states, ended = self._states(joint), joint.ended
        truncated = (ended & TRUNCATED) > 0  # its successor was not observed: its own state stands for it
        return Rollout(
            states=states[:-1],
            actions=self._actions(joint)[..., None],
            rewards=joint.rewards,
            next_states=np.where(truncated[:, :, None, None], states[:-1], states[1:]),
            log_probs=None,
            terminated=(ended & TERMINATED) > 0,
            truncated=truncated,
            valid=joint.valid,
            policy_versions=np.broadcast_to(joint.policy_versions[:, None], joint.rewards.shape),
        )

    def _states(self, joint: JointTrajectory) -> npt.NDArray[np.float32]:
        """[T + 1, E, N, S]"""
        flat = [self._vector(records.reshape(-1)).reshape(*records.shape, -1) for records in joint.states]
        return np.stack(flat, axis=2)

    def _actions(self, joint: JointTrajectory) -> Integers | Floats:
        """[T, E, N], or [T, E, N, A]"""
        chosen: npt.NDArray[Any] = np.stack([self._choice(records) for records in joint.actions], axis=2)
        return chosen
