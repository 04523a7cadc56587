"""Water-filling: the powers of parallel channels that maximise their sum rate under one budget, exactly.

maximise  sum_f log(1 + p_f / c_f)  subject to  p >= 0, sum_f p_f = P        p_f = (w - c_f)^+
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from schemes.parts.solvers.interference import Floats


class Filled(NamedTuple):
    """Powers [..., F] and the water level [...], in the unit of the floors."""

    powers: Floats
    level: Floats


def fill(floors: Floats, budget: npt.ArrayLike) -> Filled:
    """p = (w - floor)^+ with w such that p sums to the budget. floors [..., F] of any sign, budget [...] >= 0.

    A floor of infinity is a channel that is not used; of each set at least one is finite.
    """
    lowest = floors.min(axis=-1, keepdims=True)
    depth = floors - lowest  # from the lowest floor: powers that are small against the floors keep their digits
    budget = np.broadcast_to(np.asarray(budget, float), depth.shape[:-1])[..., None]  # [..., 1]
    ranked = np.sort(depth, axis=-1)
    levels = (budget + np.cumsum(ranked, axis=-1)) / np.arange(1, depth.shape[-1] + 1)  # if the first 1 .. F are used
    # the level stands above the floors of those used: true for a first few, false from there on
    used = np.maximum(np.count_nonzero(levels > ranked, axis=-1), 1)
    level = np.take_along_axis(levels, used[..., None] - 1, axis=-1)  # [..., 1]
    return Filled(np.maximum(level - depth, 0.0), (level + lowest)[..., 0])
