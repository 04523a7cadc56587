"""The sum rate against a loop, limits, and the powers of the last step by their optimality conditions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemes.parts.solvers.interference import Floats, GroupLimit, SumRateProblem, downlink_links
from tests.schemes.parts.solvers.problems import links, start_w, sum_powers

SEEDS = st.integers(0, 2**31)


@given(SEEDS, st.integers(1, 5))
def test_the_sum_rate_of_subbands_is_that_of_a_loop(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    gains, weights, power_w = rng.exponential(size=(2, 3, n, n)), rng.random((2, 3, n)), rng.random((2, 3, n))
    noise_w = rng.uniform(0.01, 1.0, n)
    slow = [0.0, 0.0]
    for e in range(2):
        for h in range(3):
            for rx in range(n):
                other_w = sum(gains[e, h, tx, rx] * power_w[e, h, tx] for tx in range(n) if tx != rx)
                signal_w = gains[e, h, rx, rx] * power_w[e, h, rx]
                slow[e] += weights[e, h, rx] * math.log2(1 + signal_w / (other_w + noise_w[rx]))
    problem = SumRateProblem.of(gains, noise_w, 1.0, weights=weights)
    np.testing.assert_allclose(problem.sum_rate(power_w), slow, rtol=1e-12)


def test_weak_interference_beside_a_strong_signal_keeps_its_digits() -> None:
    problem = SumRateProblem.of(np.array([[[1e18, 1e-3], [1e-3, 1e18]]]), 1.0, 1.0)
    np.testing.assert_allclose(problem.sinr(np.ones((1, 2))), 1e18 / 1.001, rtol=1e-15)


def test_the_links_of_a_downlink_have_its_sum_rate() -> None:
    """khan2020, R: all (b', k') other than (b, k) interfere, with the gain from BS b' to user k of cell b."""
    rng = np.random.default_rng(2)
    gains, power_w = rng.exponential(size=(1, 3, 3, 2)), rng.random((1, 3, 2))
    rate = 0.0
    for b, k in np.ndindex(3, 2):
        other_w = sum(
            power_w[0, b2, k2] * gains[0, b2, b, k] for b2, k2 in np.ndindex(3, 2) if (b2, k2) != (b, k)
        )  # fmt: skip
        rate += math.log2(1 + power_w[0, b, k] * gains[0, b, b, k] / (other_w + 0.1))
    problem = SumRateProblem.of(downlink_links(gains), 0.1, 1.0)
    assert problem.sum_rate(power_w.reshape(1, 6)) == pytest.approx([rate], rel=1e-12)


def test_subbands_of_a_downlink_stay_apart() -> None:
    gains = np.random.default_rng(2).exponential(size=(2, 4, 3, 3, 2))
    assert (downlink_links(gains)[1, 3] == downlink_links(gains[:, 3])[1]).all()


def test_taking_replicas_takes_all_that_belongs_to_them() -> None:
    problem = links(3, 4, 3)
    power_w = start_w(problem, 1)
    rows = np.array([2, 0, 2])
    assert problem.take(rows).sum_rate(power_w[rows]).tolist() == problem.sum_rate(power_w)[rows].tolist()


def test_powers_are_cut_and_groups_are_scaled() -> None:
    problem = SumRateProblem.of(np.ones((1, 3, 3)), 1.0, [1.0, 1.0, 4.0], groups=GroupLimit(np.array([0, 0, 1]), 1.5))
    np.testing.assert_allclose(problem.within_limits(np.array([[3.0, 1.0, 1.2]])), [[0.75, 0.75, 1.2]])


def check_optimal(problem: SumRateProblem, groups: GroupLimit, a: Floats, b: Floats) -> None:
    """The conditions of Karush, Kuhn and Tucker for max sum 2 a sqrt(p) - b p."""
    power_w = problem.best_powers(a, b)
    assert (power_w <= problem.max_w * (1 + 1e-12)).all()
    sums_w, limits_w = groups.sums(power_w), np.broadcast_to(groups.max_w, groups.members.shape[1])
    assert (sums_w <= limits_w * (1 + 1e-9)).all()
    margin = a / np.sqrt(power_w) - b  # of one more W; the multiplier of the group where the link's limit is slack
    capped = power_w > problem.max_w * (1 - 1e-9)
    binding = sums_w > limits_w * (1 - 1e-6)
    for e in range(len(power_w)):
        for g in range(len(limits_w)):
            members = groups.group == g
            free, held = margin[e][members & ~capped[e]], margin[e][members & capped[e]]
            multiplier = free.mean() if len(free) else 0.0
            np.testing.assert_allclose(free, multiplier, rtol=1e-6, atol=1e-6 * b[e].max())
            assert multiplier >= -1e-6 * b[e].max()
            assert binding[e, g] or multiplier == pytest.approx(0, abs=1e-6 * b[e].max())
            assert (held >= multiplier - 1e-6 * b[e].max()).all()


@given(SEEDS, st.sampled_from([0.01, 0.5, 1.3, 10.0]))
def test_the_best_powers_under_a_sum_limit(seed: int, limit_w: float) -> None:
    groups = sum_powers(2, 3, np.array([limit_w, 1.0]))
    problem, rng = links(seed, 3, 6, groups=groups), np.random.default_rng(seed)
    check_optimal(problem, groups, rng.uniform(0.1, 1.0, (3, 6)), 10 ** rng.uniform(-3, 1, (3, 6)))


@given(SEEDS, st.sampled_from([0.01, 0.5, 1.3, 10.0]))
def test_the_best_powers_under_a_limit_over_subbands(seed: int, limit_w: float) -> None:
    groups = GroupLimit(np.tile(np.arange(2), (3, 1)), limit_w)  # each link's power over 3 subbands
    problem, rng = links(seed, 2, 3, 2, groups=groups), np.random.default_rng(seed)
    check_optimal(problem, groups, rng.uniform(0.1, 1.0, (2, 3, 2)), 10 ** rng.uniform(-3, 1, (2, 3, 2)))


def test_a_silent_link_stays_silent() -> None:
    assert links(1, 1, 2).best_powers(np.zeros((1, 2)), np.array([[0.0, 1.0]])).tolist() == [[0.0, 0.0]]
