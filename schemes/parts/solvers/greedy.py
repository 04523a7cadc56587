"""Greedy steepest ascent over discrete choices, for objectives that cannot be taken apart.

Two schemes have faster forms of their own: li2020/greedy_central updates one resource block per step, zhang2025/gms
takes the longest queue.
"""

import numpy as np

from schemes.parts.solvers.exhaustive import Best, Objective

UNPLACED = -1


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
