"""What an exact assignment of resource blocks buys over a greedy one, and what it costs in time.

n users get a block each of m so that the sum of rates is largest; the rate of user i on block j is log2(1 + SNR h_ij),
h_ij exponential of mean 1 (Rayleigh fading). Solved three ways: greedily, each time the best pair that is left; by the
Hungarian method; and by branch and bound, where each undecided user counts with its best free block. The last two are
exact, so their values agree.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Le

from protocol.params import param
from schemes.offline_study import Clock, OfflineStudy
from schemes.parts.solvers.assignment import assign
from schemes.parts.solvers.branch_and_bound import Assignment, solve
from schemes.parts.solvers.interference import Floats

SOLVERS = ("greedy", "hungarian", "branch_and_bound")
_MS_PER_S = 1000.0


@dataclass(frozen=True, kw_only=True)
class Instances:
    """Random instances of the assignment."""

    users: Annotated[int, Ge(1), Le(12)] = param(5, "users, n", source="ours")
    blocks: Annotated[int, Ge(1), Le(50)] = param(12, "resource blocks, m, at least as many as users", source="ours")
    snr_db: float = param(10.0, "mean signal to noise ratio", unit="dB", source="ours")
    instances: Annotated[int, Ge(1), Le(10_000)] = param(10, "instances per seed", source="ours")


class Blocks:
    """The problem of one instance, as branch and bound sees it. `rates` [n, m]."""

    def __init__(self, rates: Floats) -> None:
        self._rates = rates
        self.n_choices = (rates.shape[1],) * rates.shape[0]

    def bound(self, assignment: Assignment) -> float:
        """The rates of those that have a block, and the best free one of each other user."""
        if len(set(assignment)) < len(assignment):
            return -np.inf
        free = np.delete(self._rates[len(assignment) :], assignment, axis=1)
        return value(self._rates, assignment) + float(free.max(axis=1, initial=0.0).sum())


def rows(params: Instances, rng: np.random.Generator, clock: Clock) -> Iterator[dict[str, float | str]]:
    """One row per solver: mean value, gap to the best of the three, time and nodes per instance."""
    if params.users > params.blocks:
        raise ValueError(f"users: {params.users} users for {params.blocks} blocks: give at least as many blocks")
    gains = rng.exponential(size=(params.instances, params.users, params.blocks))
    rates = np.log2(1 + 10 ** (params.snr_db / 10) * gains)
    solved = {name: [_timed(solver, one, clock) for one in rates] for name, solver in _solvers().items()}
    best = np.max([[found[0] for found in of_solver] for of_solver in solved.values()], axis=0)  # [instances]
    for name in SOLVERS:
        values, seconds, visited = np.array(solved[name]).T
        row: dict[str, float | str] = {
            "solver": name,
            "sum_rate_bps_hz": float(values.mean()),
            "time_ms": _MS_PER_S * float(seconds.mean()),
        }
        row["gap_percent"] = float(100 * (1 - values / best).mean())
        if name == "branch_and_bound":
            row["nodes"] = float(visited.mean())
        yield row


def greedily(rates: Floats) -> tuple[Assignment, int]:
    """The block of each user, taking the best pair that is left; rates [n, m]."""
    left, chosen = rates.copy(), [0] * len(rates)
    for _ in chosen:
        user, block = divmod(int(left.argmax()), left.shape[1])
        chosen[user] = block
        left[user], left[:, block] = -np.inf, -np.inf
    return tuple(chosen), 0


def value(rates: Floats, assignment: Assignment) -> float:
    """The sum of rates of the first users, whose blocks are given."""
    return float(rates[range(len(assignment)), assignment].sum()) if assignment else 0.0


def _solvers() -> dict[str, Callable[[Floats], tuple[Assignment, int]]]:
    return {"greedy": greedily, "hungarian": _hungarian, "branch_and_bound": _branch_and_bound}


def _hungarian(rates: Floats) -> tuple[Assignment, int]:
    return tuple(assign(-rates[None])[0].tolist()), 0


def _branch_and_bound(rates: Floats) -> tuple[Assignment, int]:
    best = solve(Blocks(rates))
    return best.assignment or (), best.visited


def _timed(
    solver: Callable[[Floats], tuple[Assignment, int]], rates: Floats, clock: Clock
) -> tuple[float, float, float]:
    """Value, seconds and nodes."""
    began = clock()
    assignment, visited = solver(rates)
    return value(rates, assignment), clock() - began, visited


STUDY = OfflineStudy(
    name="offline/assignment",
    summary="assignment of resource blocks: greedy, Hungarian, branch and bound",
    citation="Kuhn, The Hungarian method for the assignment problem, Naval Research Logistics Quarterly 2, 1955",
    numbers={"sum_rate_bps_hz": "bit/s/Hz", "gap_percent": "%", "time_ms": "ms", "nodes": "1"},
    labels={"solver": SOLVERS},
    rows=rows,
    params=Instances,
)
