"""Advantages and returns against their sums, written out for each slot and replica."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemes.parts.gae import discounted_returns, gae

GAMMA, LAMBDA = 0.9, 0.7


def stretch(seed: int, slots: int = 12, replicas: int = 3) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    ends = rng.random((2, slots, replicas)) < 0.2
    rewards, values, following = rng.standard_normal((3, slots, replicas))
    return {
        "rewards": rewards,
        "values": values,
        "next_values": following,
        "terminated": ends[0],
        "truncated": ends[1],
    }


@given(st.integers(0, 10_000))
def test_gae_equals_the_plain_sum(seed: int) -> None:
    s = stretch(seed)
    fast = gae(**s, discount=GAMMA, trace_decay=LAMBDA)
    slots, replicas = s["rewards"].shape
    for e in range(replicas):
        for t in range(slots):
            total, weight = 0.0, 1.0
            for k in range(t, slots):
                ahead = 0.0 if s["terminated"][k, e] else GAMMA * s["next_values"][k, e]
                total += weight * (s["rewards"][k, e] + ahead - s["values"][k, e])
                weight *= GAMMA * LAMBDA
                if s["terminated"][k, e] or s["truncated"][k, e]:
                    break
            assert fast[t, e] == pytest.approx(total, rel=1e-9, abs=1e-12)


@given(st.integers(0, 10_000))
def test_returns_equal_the_plain_sum(seed: int) -> None:
    s = stretch(seed)
    del s["values"]
    fast = discounted_returns(**s, discount=GAMMA)
    slots, replicas = s["rewards"].shape
    for e in range(replicas):
        for t in range(slots):
            total, weight = 0.0, 1.0
            for k in range(t, slots):
                total += weight * s["rewards"][k, e]
                weight *= GAMMA
                if s["terminated"][k, e]:
                    break
                if s["truncated"][k, e] or k == slots - 1:
                    total += weight * s["next_values"][k, e]
                    break
            assert fast[t, e] == pytest.approx(total, rel=1e-9, abs=1e-12)


def test_with_lambda_one_and_consistent_values_the_advantage_is_the_return_less_the_value() -> None:
    s = stretch(1)
    s["next_values"][:-1] = s["values"][1:]
    advantages = gae(**s, discount=GAMMA, trace_decay=1.0)
    returns = discounted_returns(*(s[n] for n in ("rewards", "next_values", "terminated", "truncated")), discount=GAMMA)
    np.testing.assert_allclose(advantages, returns - s["values"], atol=1e-12)
