"""Dividing a few items among bins when the value of a bin is any function of the set of items in it.

Dynamic programming over sets: with f_0 = 0, f_k(S) = max over T within S of value_k(T) + f_{k-1}(S without T), so that
3^N pairs of sets are looked at per bin instead of (K + 1)^N divisions. A set is a number: bit n is item n.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from schemes.parts.solvers.exhaustive import Best
from schemes.parts.solvers.interference import Floats, Indices

MAX_ITEMS = 12  # 531,441 pairs of sets
OUT = -1  # the bin of an item that is left out


class _Subsets(NamedTuple):
    """All pairs of a set S and a set T within it, ordered by S."""

    inner: Indices  # T [3^N]
    rest: Indices  # S without T [3^N]
    first: Indices  # [2^N]: where the pairs of each S begin


def divide(values: Floats) -> Best:
    """The division with the largest sum of the bins' values: each item's bin or OUT [E, N], and the sum [E].

    `values` [E, K, 2^N]: of each set in each bin; an item that is left out adds nothing. Ties go to the set of the
    smaller number in the last bins. ValueError for more than MAX_ITEMS items.
    """
    items = values.shape[2].bit_length() - 1
    if items > MAX_ITEMS:
        raise ValueError(f"{items} items are too many to divide exactly: at most {MAX_ITEMS}")
    divided = [_divide_one(of_replica, _subsets(items)) for of_replica in values]
    return Best(np.stack([best.choices for best in divided]), np.array([best.value for best in divided]))


def members(items: int) -> Floats:
    """Whether each set has each item, [2^N, N], as 0 and 1."""
    return ((np.arange(2**items)[:, None] >> np.arange(items)) & 1).astype(np.float64)


def _divide_one(values: Floats, subsets: _Subsets) -> Best:
    """Of one replica: choices [N], value."""
    best = [np.zeros(values.shape[1])]  # f_k [2^N], one after the other
    for of_bin in values:
        best.append(np.maximum.reduceat(of_bin[subsets.inner] + best[-1][subsets.rest], subsets.first))
    remaining = values.shape[1] - 1
    choices = np.full(remaining.bit_length(), OUT)
    for k in reversed(range(len(values))):
        first = subsets.first[remaining]
        of_remaining = slice(first, first + 2 ** remaining.bit_count())
        inner, rest = subsets.inner[of_remaining], subsets.rest[of_remaining]
        taken = int(inner[(values[k][inner] + best[k][rest]).argmax()])
        choices[[n for n in range(len(choices)) if taken >> n & 1]] = k
        remaining ^= taken
    return Best(choices, best[-1][-1])


@lru_cache(maxsize=1)
def _subsets(items: int) -> _Subsets:
    inner, outer = np.zeros(1, np.int64), np.zeros(1, np.int64)
    for n in range(items):  # an item is in neither set, in the outer one, or in both
        inner = np.concatenate([inner, inner, inner | 1 << n])
        outer = np.concatenate([outer, outer | 1 << n, outer | 1 << n])
    order = np.lexsort((inner, outer))
    inner, outer = inner[order], outer[order]
    return _Subsets(inner, outer ^ inner, np.searchsorted(outer, np.arange(2**items)))
