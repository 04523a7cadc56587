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
    [...] or continuous ones [..., A]; of several choices at once, for learners that learn on-policy, [..., K]."""

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
        """All agents' rows, for learners that learn on-policy; log-probabilities, and what a recurrent policy carried,
        if the histories have them."""
        states, ended = self._states(joint), joint.ended
        truncated = (ended & TRUNCATED) > 0  # its successor was not observed: its own state stands for it
        return Rollout(
            states=states[:-1],
            actions=self._actions(joint).reshape(*joint.rewards.shape, -1),
            rewards=joint.rewards,
            next_states=np.where(truncated[:, :, None, None], states[:-1], states[1:]),
            log_probs=joint.log_probs,
            terminated=(ended & TERMINATED) > 0,
            truncated=truncated,
            valid=joint.valid,
            policy_versions=np.broadcast_to(joint.policy_versions[:, None], joint.rewards.shape),
            hidden=None if joint.carried is None else joint.carried.swapaxes(0, 1)[None],
        )

    def _states(self, joint: JointTrajectory) -> npt.NDArray[np.float32]:
        """[T + 1, E, N, S]"""
        flat = [self._vector(records.reshape(-1)).reshape(*records.shape, -1) for records in joint.states]
        return np.stack(flat, axis=2)

    def _actions(self, joint: JointTrajectory) -> Integers | Floats:
        """[T, E, N], or with several numbers an action [T, E, N, A]"""
        chosen: npt.NDArray[Any] = np.stack([self._choice(records) for records in joint.actions], axis=2)
        return chosen
