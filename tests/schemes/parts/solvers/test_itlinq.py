"""ITLinQ and Fair-ITLinQ against loops from the conditions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemes.parts.solvers.interference import Floats, Indices
from schemes.parts.solvers.itlinq import FairBound, ItLinq, schedule

PLAIN = ItLinq(20.0, 0.7)
FAIR = ItLinq(10.0, 0.7, FairBound(0.1, 0.5, 1200.0))


def by_hand(inr: Floats, order: Indices, rule: ItLinq, barred: list[int]) -> set[int]:
    """One replica: [L, L] and [L]."""
    active: set[int] = set()
    for j in order.tolist():
        snr = inr[j, j]
        accepted = caused = rule.factor * snr**rule.exponent
        if rule.fair and snr > rule.fair.min_snr:
            caused = rule.fair.factor * snr**rule.fair.exponent
        if j not in barred and all(inr[i, j] <= accepted and inr[j, i] <= caused for i in active):
            active.add(j)
    return active


@pytest.mark.parametrize("rule", [PLAIN, FAIR], ids=["plain", "fair"])
@given(seed=st.integers(0, 2**31), n=st.integers(1, 9))
def test_the_schedule_is_that_of_a_loop(rule: ItLinq, seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    inr = 10 ** rng.uniform(-1, 3.5, (4, n, n)) * (1 + 9 * np.eye(n))
    order = rng.permuted(np.tile(np.arange(n), (4, 1)), axis=1)
    barred = rng.random((4, n)) < 0.2
    active = schedule(inr, order, rule, barred=barred)
    for e in range(4):
        assert set(np.flatnonzero(active[e])) == by_hand(inr[e], order[e], rule, np.flatnonzero(barred[e]).tolist())


def test_the_first_link_joins_and_shuts_out_those_it_disturbs() -> None:
    inr = np.array([[[100.0, 600.0], [0.0, 100.0]]])  # 20 * 100^0.7 = 502
    assert schedule(inr, np.array([[0, 1]]), PLAIN).tolist() == [[True, False]]
    assert schedule(inr, np.array([[1, 0]]), PLAIN).tolist() == [[False, True]]
    assert schedule(inr / 2, np.array([[1, 0]]), PLAIN).tolist() == [[True, True]]


def test_fairness_holds_back_a_strong_link_alone() -> None:
    inr = np.array([[[1300.0, 5.0], [5.0, 1300.0]]])  # fair bound 0.1 * 1300^0.5 = 3.6, plain 10 * 1300^0.7 = 1513
    assert schedule(inr, np.array([[0, 1]]), FAIR).tolist() == [[True, False]]
    assert schedule(inr * 0.9, np.array([[0, 1]]), FAIR).tolist() == [[True, True]]
