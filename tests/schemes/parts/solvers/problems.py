"""Random interfering links, with and without subbands and limits on groups."""

from typing import Any

import numpy as np

from schemes.parts.solvers.interference import Floats, GroupLimit, SumRateProblem


def links(seed: int, *shape: int, groups: GroupLimit | None = None) -> SumRateProblem:
    """Links of `shape` [E, ..., L]: gains over 30 dB, own gains 10 dB more, noise 1e-2 W, limits of 1 W and less."""
    rng = np.random.default_rng(seed)
    gains = 10 ** rng.uniform(-3.0, 0.0, (*shape, shape[-1])) * (1 + 9 * np.eye(shape[-1]))
    weights, max_w = rng.uniform(0.2, 2.0, shape), rng.uniform(0.5, 1.0, shape)
    return SumRateProblem.of(gains, 1e-2, max_w, weights=weights, groups=groups)


def sum_powers(cells: int, users: int, max_w: float | Floats) -> GroupLimit:
    """A limit on each cell's sum power."""
    return GroupLimit(np.repeat(np.arange(cells), users), max_w)


def start_w(problem: SumRateProblem, seed: int) -> Floats:
    """Powers between a tenth of the limits and the limits."""
    return problem.max_w * np.random.default_rng(seed).uniform(0.1, 1.0, problem.max_w.shape)


def scalars(problem: SumRateProblem) -> tuple[Any, Any, Any]:
    """Gains, weights and limits of the one replica, for loops."""
    return problem.gains[0].tolist(), problem.weights[0].tolist(), problem.max_w[0].tolist()
