"""Advantages and returns over stretches of slots in which each replica's episodes end by themselves."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Flags = npt.NDArray[np.bool_]


def gae(
    rewards: Floats,
    values: Floats,
    next_values: Floats,
    terminated: Flags,
    truncated: Flags,
    *,
    discount: float,
    trace_decay: float,
) -> Floats:
    """Generalised advantage estimates [T, ...]: schulman2016, eq. (16).

        delta_t = r_t + gamma V(s_{t+1}) - V(s_t)          without V(s_{t+1}) where the episode terminated with slot t
        A_t = delta_t + gamma lambda A_{t+1}               without A_{t+1} where it terminated or was truncated

    All arrays [T, ...]. `next_values`: V of the state that followed slot t in its own episode, which of a truncated one
    is not the state of slot t + 1. `trace_decay`: lambda.
    """
    deltas = rewards + discount * np.where(terminated, 0, next_values) - values
    return _sum_back(deltas, ~(terminated | truncated), discount * trace_decay)


def discounted_returns(
    rewards: Floats, next_values: Floats, terminated: Flags, truncated: Flags, *, discount: float
) -> Floats:
    """Discounted sums of rewards to the end of the episode [T, ...].

    Where it was truncated, and after the last slot, `next_values` stands for what would have followed.
    """
    cut = truncated & ~terminated
    cut[-1:] |= ~terminated[-1:]
    bootstrapped = rewards + discount * np.where(cut, next_values, 0)
    return _sum_back(bootstrapped, ~(terminated | truncated), discount)


def _sum_back(terms: Floats, continues: Flags, decay: float) -> Floats:
    """x_t = terms_t + decay x_{t+1} where the episode continues after slot t. [T, ...]"""
    sums, following = np.empty_like(terms), np.zeros_like(terms[0])
    for t in reversed(range(len(terms))):
        following = terms[t] + decay * np.where(continues[t], following, 0)
        sums[t] = following
    return sums
