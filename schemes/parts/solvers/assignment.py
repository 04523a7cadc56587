"""Linear sum assignment: each row a column of its own, of least total cost. Exact.

The Hungarian method by shortest augmenting paths with potentials (jonker1987), O(n^2 m) for n rows and m columns. All
replicas take their steps together; one whose path is complete waits for the others.
"""

import numpy as np
import numpy.typing as npt

from schemes.parts.solvers.interference import Floats, Indices

_FREE = -1


def assign(costs: Floats) -> Indices:
    """The column of each row, [E, n], for finite costs [E, n, m] with n <= m; negate them to maximise."""
    if costs.shape[1] > costs.shape[2]:
        raise ValueError(f"{costs.shape[1]} rows for {costs.shape[2]} columns; transpose the costs")
    matching = _Matching(np.asarray(costs, np.float64))
    for row in range(costs.shape[1]):
        matching.add(row)
    return matching.columns()


class _Matching:
    """A matching of the rows so far, and potentials that prove it optimal: cost >= row + column, equal where matched.

    Column m is where the path of a new row starts; it belongs to no cost.
    """

    def __init__(self, costs: Floats) -> None:
        e, n, m = costs.shape
        self._costs = costs
        self._row_of = np.full((e, m + 1), _FREE)
        self._row_potential, self._column_potential = np.zeros((e, n)), np.zeros((e, m + 1))

    def add(self, row: int) -> None:
        """Match one more row along the cheapest path that ends in a free column."""
        e, _, m = self._costs.shape
        self._row_of[:, m] = row
        reached, before = np.zeros((e, m + 1), bool), np.full((e, m + 1), m)
        distance = np.full((e, m + 1), np.inf)
        distance[:, m] = 0.0
        column, going = np.full(e, m), np.arange(e)  # [E]; the replicas without a free column yet
        while len(going):
            column[going] = self._extend(going, column[going], reached, before, distance)
            going = going[self._row_of[going, column[going]] != _FREE]
        self._shift(reached, distance, distance[np.arange(e), column])
        self._augment(column, before)

    def columns(self) -> Indices:
        """The column of each row, [E, n]."""
        order = np.argsort(self._row_of[:, :-1], axis=1, kind="stable")  # free columns first
        return order[:, self._row_of.shape[1] - 1 - self._costs.shape[1] :]

    def _extend(
        self, at: Indices, column: Indices, reached: npt.NDArray[np.bool_], before: Indices, distance: Floats
    ) -> Indices:
        """One step of Dijkstra's search from the columns last reached, [e] of replicas `at`: the nearest columns."""
        row = self._row_of[at, column]
        reached[at, column] = True
        reduced = self._costs[at, row] - self._row_potential[at, row][:, None] - self._column_potential[at, :-1]
        through = distance[at, column][:, None] + reduced  # [e, m]
        shorter = ~reached[at, :-1] & (through < distance[at, :-1])
        distance[at, :-1] = np.where(shorter, through, distance[at, :-1])
        before[at, :-1] = np.where(shorter, column[:, None], before[at, :-1])
        nearest: Indices = np.where(reached[at, :-1], np.inf, distance[at, :-1]).argmin(axis=1)
        return nearest

    def _shift(self, reached: npt.NDArray[np.bool_], distance: Floats, length: Floats) -> None:
        """Make the path's edges tight: potentials of what was reached change by what its distance lacks of `length`."""
        lacking = np.where(reached, length[:, None] - distance, 0.0)  # [E, m + 1]
        replica, column = np.nonzero(reached)
        self._row_potential[replica, self._row_of[replica, column]] += lacking[replica, column]
        self._column_potential -= lacking

    def _augment(self, column: Indices, before: Indices) -> None:
        """Along each path, give every column the row of the column before it."""
        m = self._costs.shape[2]
        going = np.flatnonzero(column != m)
        while len(going):
            previous = before[going, column[going]]
            self._row_of[going, column[going]] = self._row_of[going, previous]
            column[going] = previous
            going = going[previous != m]
