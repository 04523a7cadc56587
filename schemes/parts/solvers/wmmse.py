"""Weighted minimum mean-square error with one antenna at each end (shi2011, for scalars).

One iteration, v^2 = p being the transmit power and h_jl^2 = g_jl:

    u_l = h_ll v_l / (sum_j g_jl v_j^2 + 1)                                   receiver
    e_l = 1 / (1 - u_l h_ll v_l)                                              weight of the mean-square error
    v_l = min(sqrt(max_w_l), w_l e_l u_l h_ll / sum_j w_j e_j u_j^2 g_lj)     transmitter

With a limit on a group's sum power its multiplier joins the last denominator. The sum rate never falls.
"""

import numpy as np

from schemes.parts.solvers.interference import Floats, SumRateProblem


def step(problem: SumRateProblem, powers_w: Floats) -> Floats:
    """One iteration: powers [E, ..., L] in W to the next ones. For `ascent`."""
    h = np.sqrt(problem.own)
    received, interference = h * np.sqrt(powers_w), problem.interference(powers_w)
    total = np.square(received) + interference
    u = received / total
    # 1 - u h v = interference / total: the difference would lose the digits of a high SINR
    weighted = problem.weights * total / interference * u  # w e u
    slope = (problem.gains @ (weighted * u)[..., None])[..., 0]  # sum over receivers
    return problem.best_powers(weighted * h, slope)
