"""Forward-looking water-filling (FLWF) of one user over its F channels (wong2021 eq. 15, 16).

c is interference plus noise over the own gain (eq. 7), p the powers of the iteration before, P the user's budget:

    phi = - sqrt(c / (2 c + p))                                     how c is expected to answer a change of p
    p' = (w - (c^2 + phi p^2) / (c - phi p))^+ ,  w such that p' sums to P

The same floor is c (c + p) / (c - phi p) - p, and c (1 + r) / (1 - phi r) - p with r = p / c: no square of c is formed
and nothing cancels where p is far above c. At a fixed point the first term is the level w on every used channel, and
c >= w on the others.
"""

import numpy as np
import numpy.typing as npt

from schemes.parts.solvers import water_filling
from schemes.parts.solvers.interference import Floats
from schemes.parts.solvers.water_filling import Filled


def derivative(costs: Floats, powers: Floats) -> Floats:
    """phi, eq. (16), without unit: [..., F]. Costs c > 0, infinity for a channel of no use."""
    return -1.0 / np.sqrt(2.0 + powers / costs)


def marginal(costs: Floats, powers: Floats) -> Floats:
    """c (c + p) / (c - phi p), [..., F]: the level at which a channel keeps its power; c itself where p = 0."""
    ratio = powers / costs
    return costs * ((1.0 + ratio) / (1.0 - derivative(costs, powers) * ratio))


def respond(costs: Floats, powers: Floats, budget: npt.ArrayLike) -> Filled:
    """One iteration, eq. (15): powers [..., F], all finite, to the next ones and their level. Budget P [...]."""
    return water_filling.fill(marginal(costs, powers) - powers, budget)
