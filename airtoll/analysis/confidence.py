"""The confidence interval of a mean over seeds: Student's t.

    mean +- t(1 - alpha/2, n - 1) s / sqrt(n),   s^2 = sum (x - mean)^2 / (n - 1)

The distribution of t has a closed form for whole degrees of freedom: Abramowitz and Stegun, 26.7.3 and 26.7.4.
"""

import math
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

LEVEL = 0.95
_HALVINGS = 100  # of an interval of angles: beyond the resolution of a float


class Mean(NamedTuple):
    """A mean of `seeds` values, and half the width of its confidence interval: nan for one value."""

    value: float
    half: float
    seeds: int


def mean_of(values: Sequence[float], level: float = LEVEL) -> Mean:
    """The mean of independent, roughly normal values, with its confidence interval."""
    count = len(values)
    mean = math.fsum(values) / count
    if count == 1:
        return Mean(mean, math.nan, 1)
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return Mean(mean, student_t(level, count - 1) * math.sqrt(variance / count), count)


@cache
def student_t(level: float, freedom: int) -> float:
    """The t with P(|T| < t) = `level` for a Student-distributed T of `freedom` degrees of freedom."""
    low, high = 0.0, math.pi / 2  # angles, t = sqrt(freedom) tan(angle)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < level else (low, middle)
    return math.sqrt(freedom) * math.tan(low)


def _within(angle: float, freedom: int) -> float:
    """P(|T| < sqrt(freedom) tan(angle))."""
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = freedom % 2
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(1 + odd, freedom, 2):  # the next factor is k / (k + 1), and two more cosines
        total += term
        term *= cosine**2 * k / (k + 1)
    return (angle + sine * total) * 2 / math.pi if odd else sine * total
