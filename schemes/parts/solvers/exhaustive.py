"""All joint choices of a small discrete problem, in blocks of bounded memory."""

from collections.abc import Callable, Sequence
from math import prod
from typing import NamedTuple

import numpy as np

from schemes.parts.solvers.interference import Floats, Indices

Objective = Callable[[Indices], Floats]
"""Values [E, C] of C candidates: joint choices [E, C, N], or [1, C, N] where all replicas try the same."""


class Best(NamedTuple):
    """The best joint choice of each replica [E, N] and its value [E]."""

    choices: Indices
    value: Floats


def search(objective: Objective, n_choices: Sequence[int], *, block: int = 4096) -> Best:
    """The joint choice with the largest value; the first in lexicographic order if several have it.

    Variable n has choices 0 .. n_choices[n] - 1, N variables; `objective` is called with [1, at most `block`, N].
    """
    total = prod(n_choices)
    best: Best | None = None
    for first in range(0, total, block):
        joint = np.arange(first, min(first + block, total))
        candidates = np.stack(np.unravel_index(joint, tuple(n_choices)), axis=-1)  # [C, N]
        values = objective(candidates[None])  # [E, C]
        at = values.argmax(axis=1)  # [E]
        found = Best(candidates[at], values[np.arange(len(values)), at])
        best = found if best is None else _better(best, found)
    if best is None:
        raise ValueError(f"a variable without choices: {list(n_choices)}")
    return best


def _better(first: Best, second: Best) -> Best:
    wins = second.value > first.value  # [E]
    return Best(np.where(wins[:, None], second.choices, first.choices), np.where(wins, second.value, first.value))
