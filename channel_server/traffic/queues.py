"""First-in first-out queues that keep how long each task has waited.

A queue is kept as its number of tasks per age, so that serving is one cumulative sum over ages. The array grows by
replacement when a task gets older than it is wide, so that an overloaded queue never drops a task.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Tasks = npt.NDArray[np.int64]

_FIRST_AGES = 16


@dataclass(frozen=True)
class Queues:
    """Tasks waiting, by age: `by_age[..., a]` arrived a slots ago, [E, n, ages]."""

    by_age: Tasks

    @classmethod
    def empty(cls, replicas: int, queues: int) -> "Queues":
        """Empty queues, [E, n]."""
        return cls(np.zeros((replicas, queues, _FIRST_AGES), np.int64))

    def emptied(self, replicas: npt.NDArray[np.bool_]) -> "Queues":
        """Without the tasks of these replicas, [E]."""
        return Queues(np.where(replicas[:, None, None], 0, self.by_age))

    @cached_property
    def lengths(self) -> Tasks:
        """Tasks per queue, [E, n]."""
        lengths: Tasks = self.by_age.sum(-1)
        return lengths

    def arrive(self, tasks: Tasks) -> "Queues":
        """Begin a slot: waiting tasks get one slot older, `tasks` [E, n] join at age 0."""
        old = self.by_age
        ages = old.shape[-1]
        if old[..., -1].any():
            ages *= 2
        by_age = np.zeros((*old.shape[:-1], ages), np.int64)  # [E, n, ages]
        by_age[..., 0] = tasks
        keep = min(ages - 1, old.shape[-1])
        by_age[..., 1 : keep + 1] = old[..., :keep]
        return Queues(by_age)

    def serve(self, tasks: Tasks) -> "Served":
        """Serve up to `tasks` [E, n] of each queue, oldest first; an empty queue wastes its service."""
        waiting = self.by_age
        ahead = self.lengths[..., None] - waiting.cumsum(-1)  # [E, n, ages] tasks older than this age
        served = np.minimum(np.maximum(tasks[..., None] - ahead, 0), waiting)
        return Served(Queues(waiting - served), served)


class Served(NamedTuple):
    """The queues after service, and the served tasks: `by_delay[..., d]` with a delay of d + 1 slots, [E, n, ages].

    A task served in the slot of its arrival has a delay of one slot.
    """

    queues: Queues
    by_delay: Tasks
