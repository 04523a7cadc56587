"""Joint trajectories of records to the transitions that li2020's learners store."""

from typing import Any

import numpy as np
import numpy.typing as npt

from protocol.messages.spaces import Space
from schemes.li2020.cell_info import CellInfo, Standardiser
from schemes.parts.history import JointTrajectory
from schemes.parts.replay import Transitions


class Experience:
    """Standardises states and numbers actions. `inputs`: the size S of one agent's standardised state."""

    def __init__(self, cell: CellInfo, view: Space) -> None:
        self._cell = cell
        self._standardise = Standardiser(cell, view)
        self.inputs = self._standardise.inputs

    def to_transitions(self, joint: JointTrajectory) -> Transitions:
        """All agents' transitions."""
        states = np.stack([self._states(records) for records in joint.states], axis=2)  # [T + 1, E, N, S]
        actions = np.stack([choice_of(records, self._cell.rbs) for records in joint.actions], axis=2)  # [T, E, N]
        return Transitions(states, actions, joint.rewards, joint.first_slot, joint.valid, joint.ended)

    def _states(self, records: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """[T + 1, E] records to [T + 1, E, S]."""
        return self._standardise(records.reshape(-1)).reshape(*records.shape, -1)


def choice_of(records: npt.NDArray[Any], rbs: int) -> npt.NDArray[np.int64]:
    """The inverse of `ActionTable`: level * rbs + rb; any shape."""
    level = records["power"].astype(np.int64) if "power" in (records.dtype.names or ()) else 0
    return np.asarray(level * rbs + records["rb"].astype(np.int64))
