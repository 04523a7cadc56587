"""Repeating a step that never lowers the sum rate: `fp.step` or `wmmse.step`.

Each replica stops by itself, so that a replica's result does not depend on the others'.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from schemes.parts.solvers.interference import Floats, Indices, SumRateProblem

Step = Callable[[SumRateProblem, Floats], Floats]


class Solution(NamedTuple):
    """Powers [E, ..., L] in W, the iterations that each replica took [E], and its sum rate [E] in bit/s/Hz."""

    powers_w: Floats
    iterations: Indices
    sum_rate: Floats


def ascend(
    step: Step, problem: SumRateProblem, start_w: Floats, *, max_iterations: int, tolerance: float = 0.0
) -> Solution:
    """Repeat `step` from powers [E, ..., L] until an iteration adds no more than `tolerance` times the sum rate.

    With tolerance 0 a replica stops where its sum rate grows no more; `max_iterations` is the cap. A power of 0 stays
    0 under FP and WMMSE: start with every link on.
    """
    powers_w = problem.within_limits(start_w)
    rate = problem.sum_rate(powers_w)
    iterations = np.zeros(len(rate), np.int64)
    rows, part, grows = np.arange(len(rate)), problem, np.ones(len(rate), bool)
    for _ in range(max_iterations):
        stepped_w = step(part, powers_w[rows])
        new_rate = part.sum_rate(stepped_w)
        open_rows = rows[grows]
        iterations[open_rows] += 1
        added = new_rate - rate[rows]
        powers_w[open_rows], rate[open_rows] = stepped_w[grows], new_rate[grows]
        grows &= added > tolerance * np.abs(new_rate)
        if not grows.any():
            break
        if 2 * np.count_nonzero(grows) <= len(grows):  # copying the gains pays when half of the replicas have stopped
            rows = rows[grows]
            part, grows = problem.take(rows), np.ones(len(rows), bool)
    return Solution(powers_w, iterations, rate)


def iterate(step: Step, problem: SumRateProblem, start_w: Floats, iterations: int) -> Floats:
    """The powers [E, ..., L] after exactly that many iterations."""
    powers_w = problem.within_limits(start_w)
    for _ in range(iterations):
        powers_w = step(problem, powers_w)
    return powers_w


def trajectory(step: Step, problem: SumRateProblem, start_w: Floats, iterations: int) -> Floats:
    """The sum rate in bit/s/Hz at the start and after each iteration, [iterations + 1, E]."""
    powers_w = problem.within_limits(start_w)
    rates = [problem.sum_rate(powers_w)]
    for _ in range(iterations):
        powers_w = step(problem, powers_w)
        rates.append(problem.sum_rate(powers_w))
    return np.stack(rates)


def random_starts(problem: SumRateProblem, rng: np.random.Generator, count: int) -> Floats:
    """Powers uniform below each link's limit, scaled down where a group's sum is too large, [count, E, ..., L]."""
    drawn_w = rng.uniform(0.0, 1.0, (count, *problem.max_w.shape)) * problem.max_w
    return problem.within_limits(drawn_w)


def best_of(
    step: Step, problem: SumRateProblem, starts_w: Floats, *, max_iterations: int, tolerance: float = 0.0
) -> Solution:
    """For each replica the best of several ascents, one from each of `starts_w` [starts, E, ..., L]."""
    starts, replicas = starts_w.shape[:2]
    repeated = problem.take(np.tile(np.arange(replicas), starts))
    flat_w = starts_w.reshape(-1, *starts_w.shape[2:])
    all_ends = ascend(step, repeated, flat_w, max_iterations=max_iterations, tolerance=tolerance)
    best = all_ends.sum_rate.reshape(starts, replicas).argmax(axis=0) * replicas + np.arange(replicas)
    return Solution(*(array[best] for array in all_ends))
