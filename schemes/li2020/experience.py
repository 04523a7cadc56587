"""From histories of records to what a learner of li2020's cell absorbs."""

from typing import Any

import numpy as np
import numpy.typing as npt

from protocol.messages.spaces import Space
from schemes.li2020.cell import Cell, Standardiser
from schemes.parts.history import VALID, JointHistory
from schemes.parts.replay import JointTrajectory


class Experience:
    """Standardises what was seen and numbers what was done. `inputs`: numbers in a state, S."""

    def __init__(self, cell: Cell, view: Space) -> None:
        self._cell = cell
        self._standardise = Standardiser(cell, view)
        self.inputs = self._standardise.inputs

    def trajectory(self, joint: JointHistory, agents: list[int]) -> JointTrajectory:
        """These agents' part of a joint history; a slot is valid if it is so for all of them."""
        states = np.stack([self._states(joint.states[agent]) for agent in agents], axis=2)  # [T + 1, E, n, S]
        actions = np.stack([choice_of(joint.actions[agent], self._cell.rbs) for agent in agents], axis=2)  # [T, E, n]
        all_valid = np.all(joint.flags[:, agents] & VALID, axis=1)  # [T]
        valid = np.broadcast_to(all_valid[:, None], actions.shape[:2])
        return JointTrajectory(states, actions, joint.rewards[:, :, agents], 0, joint.first_slot, valid)

    def _states(self, records: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """[T + 1, E] records to [T + 1, E, S]."""
        return self._standardise(records.reshape(-1)).reshape(*records.shape, -1)


def choice_of(records: npt.NDArray[Any], rbs: int) -> npt.NDArray[np.int64]:
    """The inverse of `Choices`: level * rbs + rb; any shape."""
    level = records["power"].astype(np.int64) if "power" in (records.dtype.names or ()) else 0
    return np.asarray(level * rbs + records["rb"].astype(np.int64))
