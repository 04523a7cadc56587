"""Fractional programming for power control (shen2018 algorithm 3, closed form).

One iteration, each line the best answer to the others' last values:

    gamma_l = SINR_l
    y_l = sqrt(w_l (1 + gamma_l) g_ll p_l) / (sum_j g_jl p_j + 1)             own signal included
    p_l = min(max_w_l, y_l^2 w_l (1 + gamma_l) g_ll / (sum_j y_j^2 g_lj)^2)

With a limit on a group's sum power its multiplier joins sum_j y_j^2 g_lj. The sum rate never falls. The iterates are
those of `wmmse.step`, with y^2 = w e u^2 and 1 + gamma = e for WMMSE's receiver u and mean-square-error weight e.
"""

import numpy as np

from schemes.parts.solvers.interference import Floats, SumRateProblem


def step(problem: SumRateProblem, powers_w: Floats) -> Floats:
    """One iteration: powers [E, ..., L] in W to the next ones. For `ascent`."""
    signal, interference = problem.own * powers_w, problem.interference(powers_w)
    weight = problem.weights * (1.0 + signal / interference)  # w (1 + gamma)
    y = np.sqrt(weight * signal) / (signal + interference)
    slope = (problem.gains @ np.square(y)[..., None])[..., 0]  # sum over receivers
    return problem.best_powers(y * np.sqrt(weight * problem.own), slope)
