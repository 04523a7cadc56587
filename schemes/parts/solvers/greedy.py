"""Greedy choices: steepest ascent for objectives that cannot be taken apart, and maximal sets of the largest weights.

li2020/greedy_central has a faster ascent of its own, which updates one resource block per step.
"""

import numpy as np
import numpy.typing as npt

from schemes.parts.solvers.exhaustive import Best, Objective

UNPLACED = -1
Flags = npt.NDArray[np.bool_]


def place(objective: Objective, *, replicas: int, variables: int, n_choices: int) -> Best:
    """Place variables one at a time: of all (variable, choice) the one that raises the value most, until none does.

    `objective` takes joint choices [E, C, N], `UNPLACED` where a variable has none yet, such as a silent link. C is
    1, then N * n_choices at each step. Ties go to the lowest variable, then to the lowest choice.
    """
    replica = np.arange(replicas)
    chosen = np.full((replicas, variables), UNPLACED)
    value = objective(chosen[:, None, :])[:, 0]
    variable, choice = np.divmod(np.arange(variables * n_choices), n_choices)  # [C]
    moves = variable[:, None] == np.arange(variables)  # [C, N]
    for _ in range(variables):
        candidates = np.where(moves, choice[:, None], chosen[:, None, :])  # [E, C, N]
        values = np.where(chosen[:, variable] == UNPLACED, objective(candidates), -np.inf)  # [E, C]
        best = values.argmax(axis=1)
        helps = values[replica, best] > value
        if not helps.any():
            break
        chosen = np.where(helps[:, None], candidates[replica, best], chosen)
        value = np.where(helps, values[replica, best], value)
    return Best(chosen, value)


def maximal_set(weights: npt.NDArray[np.int64], drops: Flags, rng: np.random.Generator) -> Flags:
    """The largest weight, then the largest that is left, until none is: zhang2025 IV-B, queue lengths in tasks.

    Members [E, N] of weights [E, N], of which only positive ones are taken; ties are broken uniformly at random.
    `drops` [N, N]: choosing n drops i where [n, i] is True, which must hold for n itself.
    """
    priority = np.where(weights > 0, weights + rng.random(weights.shape), 0.0)  # [E, N]
    members = np.zeros(weights.shape, bool)
    while True:
        rows = np.flatnonzero(priority.any(1))
        if not len(rows):
            return members
        chosen = priority[rows].argmax(1)
        members[rows, chosen] = True
        priority[rows] = np.where(drops[chosen], 0.0, priority[rows])
