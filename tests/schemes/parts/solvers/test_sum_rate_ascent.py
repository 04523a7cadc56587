"""FP and WMMSE: one step against loops from the equations, each other, monotony, and a generic optimiser."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from schemes.parts.solvers import fp, wmmse
from schemes.parts.solvers.ascent import Step, ascend, best_of, iterate, random_starts, trajectory
from schemes.parts.solvers.interference import Floats, GroupLimit, SumRateProblem
from tests.schemes.parts.solvers.problems import links, scalars, start_w, sum_powers

SEEDS = st.integers(0, 2**31)
BOTH = pytest.mark.parametrize("step", [fp.step, wmmse.step], ids=["fp", "wmmse"])


def fp_by_hand(problem: SumRateProblem, power_w: list[float]) -> list[float]:
    """Shen and Yu 2018, algorithm 3, link by link."""
    g, w, max_w = scalars(problem)
    links_ = range(len(power_w))
    total = [sum(g[j][i] * power_w[j] for j in links_) + 1 for i in links_]
    gamma = [g[i][i] * power_w[i] / (total[i] - g[i][i] * power_w[i]) for i in links_]
    y = [math.sqrt(w[i] * (1 + gamma[i]) * g[i][i] * power_w[i]) / total[i] for i in links_]
    above = [y[i] ** 2 * w[i] * (1 + gamma[i]) * g[i][i] for i in links_]
    below = [sum(y[j] ** 2 * g[i][j] for j in links_) ** 2 for i in links_]
    return [min(max_w[i], above[i] / below[i]) for i in links_]


def wmmse_by_hand(problem: SumRateProblem, power_w: list[float]) -> list[float]:
    """Shi et al. 2011 with scalars, link by link."""
    g, w, max_w = scalars(problem)
    links_ = range(len(power_w))
    v = [math.sqrt(each) for each in power_w]
    h = [[math.sqrt(each) for each in row] for row in g]
    u = [h[i][i] * v[i] / (sum((h[j][i] * v[j]) ** 2 for j in links_) + 1) for i in links_]
    e = [1 / (1 - u[i] * h[i][i] * v[i]) for i in links_]
    for i in links_:
        below = sum(w[j] * e[j] * u[j] ** 2 * h[i][j] ** 2 for j in links_)
        v[i] = min(math.sqrt(max_w[i]), w[i] * e[i] * u[i] * h[i][i] / below)
    return [each**2 for each in v]


@given(SEEDS, st.integers(1, 6))
def test_one_step_is_that_of_the_equations(seed: int, n: int) -> None:
    problem = links(seed, 1, n)
    power_w = start_w(problem, seed)
    np.testing.assert_allclose(fp.step(problem, power_w)[0], fp_by_hand(problem, power_w[0].tolist()), rtol=1e-9)
    np.testing.assert_allclose(wmmse.step(problem, power_w)[0], wmmse_by_hand(problem, power_w[0].tolist()), rtol=1e-9)


LIMITS = [None, sum_powers(2, 2, 0.7), GroupLimit(np.tile(np.arange(4), (3, 1)), 0.9)]


@pytest.mark.parametrize("groups", LIMITS, ids=["each link", "each cell", "over subbands"])
def test_fp_and_wmmse_go_the_same_way(groups: GroupLimit | None) -> None:
    problem = links(5, 20, 3, 4, groups=groups)
    first_w = second_w = start_w(problem, 6)
    for _ in range(60):
        first_w, second_w = fp.step(problem, first_w), wmmse.step(problem, second_w)
    np.testing.assert_allclose(first_w, second_w, rtol=1e-7, atol=1e-12)


@BOTH
@pytest.mark.parametrize("groups", LIMITS, ids=["each link", "each cell", "over subbands"])
def test_the_sum_rate_never_falls(step: Step, groups: GroupLimit | None) -> None:
    problem = links(7, 30, 3, 4, groups=groups)
    rates = trajectory(step, problem, start_w(problem, 8), 80)
    assert np.diff(rates, axis=0).min() > -1e-11
    assert (rates[-1] > rates[0] + 0.1).all()


@given(SEEDS, st.sampled_from([None, sum_powers(2, 2, 25.0), sum_powers(1, 4, 1e-3)]))
def test_high_snr_and_weights_of_zero_do_no_harm(seed: int, groups: GroupLimit | None) -> None:
    rng = np.random.default_rng(seed)
    gains = 10 ** rng.uniform(-14, 0, (4, 4, 4))
    problem = SumRateProblem.of(gains, 1e-13, 20.0, weights=rng.integers(0, 2, (4, 4)) * 1.0, groups=groups)
    for step in (fp.step, wmmse.step):
        rates = trajectory(step, problem, problem.max_w, 30)
        assert np.isfinite(rates).all()
        assert np.diff(rates, axis=0).min() > -1e-9
        assert (iterate(step, problem, problem.max_w, 2)[problem.weights == 0] == 0).all()


@BOTH
def test_each_replica_stops_by_itself(step: Step) -> None:
    problem = links(9, 12, 4)
    start = start_w(problem, 10)
    together = ascend(step, problem, start, max_iterations=9999, tolerance=1e-6)
    assert len(set(together.iterations.tolist())) > 3
    np.testing.assert_allclose(together.sum_rate, problem.sum_rate(together.powers_w), rtol=1e-15)
    for e in range(12):
        alone = ascend(step, problem.take(np.array([e])), start[e : e + 1], max_iterations=9999, tolerance=1e-6)
        assert alone.iterations[0] == together.iterations[e]
        np.testing.assert_allclose(alone.powers_w[0], together.powers_w[e], rtol=1e-9)
        rates = trajectory(step, problem.take(np.array([e])), start[e : e + 1], int(alone.iterations[0]))[:, 0]
        assert rates[-1] - rates[-2] <= 1e-6 * rates[-1] < rates[-2] - rates[-3]
        assert alone.sum_rate[0] == pytest.approx(rates[-1])


def test_a_replica_that_stopped_does_not_start_again() -> None:
    gains = np.array([[[10.0, 30.0], [30.0, 10.0]], *[[[10.0, 1.0], [1.0, 9.0]]] * 2])
    problem = SumRateProblem.of(gains, 0.1, 1.0, groups=sum_powers(1, 2, 1.0))
    start = np.array([[0.5, 0.4999], [0.5, 0.4], [0.5, 0.4]])
    rates = trajectory(fp.step, problem, start, 20)[:, 0]
    assert rates[1] - rates[0] < 1e-6 * rates[1]  # two equal links, almost in balance ...
    assert rates[-1] > 8 * rates[0]  # ... until one of them goes silent
    ends = ascend(fp.step, problem, start, max_iterations=500, tolerance=1e-6)
    assert ends.iterations[0] == 1
    assert 30 < ends.iterations[1] == ends.iterations[2] < 500


def test_the_cap_stops_and_the_start_is_left_alone() -> None:
    problem = links(9, 5, 4)
    start = start_w(problem, 10)
    kept = start.copy()
    capped = ascend(fp.step, problem, start, max_iterations=3)
    assert capped.iterations.tolist() == [3] * 5
    np.testing.assert_array_equal(start, kept)
    np.testing.assert_allclose(capped.powers_w, iterate(fp.step, problem, start, 3), rtol=1e-12)


def test_the_best_of_several_starts_is_the_best_of_each() -> None:
    problem = links(11, 6, 4)
    starts = random_starts(problem, np.random.default_rng(1), 5)
    best = best_of(fp.step, problem, starts, max_iterations=50)
    alone = np.stack([ascend(fp.step, problem, start, max_iterations=50).sum_rate for start in starts])
    np.testing.assert_allclose(best.sum_rate, alone.max(axis=0), rtol=1e-12)
    np.testing.assert_allclose(problem.sum_rate(best.powers_w), best.sum_rate, rtol=1e-12)


def test_random_starts_keep_all_limits() -> None:
    problem = links(11, 6, 4, groups=sum_powers(2, 2, 0.4))
    starts = random_starts(problem, np.random.default_rng(1), 9)
    assert starts.shape == (9, 6, 4)
    assert (starts <= problem.max_w).all()
    assert (starts.reshape(9, 6, 2, 2).sum(axis=-1) <= 0.4 + 1e-12).all()


def generic_best(problem: SumRateProblem, starts_w: Floats, cell_w: float | None) -> float:
    """The best end of a quasi-Newton or SQP method, with finite differences, from all starts; one replica."""

    def loss(power_w: Floats) -> float:
        return -float(problem.sum_rate(power_w[None])[0])

    bounds = [(0.0, float(limit)) for limit in problem.max_w[0]]
    if cell_w is None:
        ends = [minimize(loss, start, method="L-BFGS-B", bounds=bounds).fun for start in starts_w]
    else:
        rows = np.kron(np.eye(2), np.ones(problem.max_w.shape[1] // 2))
        cells = {"type": "ineq", "fun": lambda p: cell_w - rows @ p, "jac": lambda _: -rows}
        ends = [minimize(loss, start, method="SLSQP", bounds=bounds, constraints=cells).fun for start in starts_w]
    return -float(min(ends))


@pytest.mark.parametrize(("n", "cell_w"), [(3, None), (4, None), (5, None), (6, None), (4, 0.8), (6, 0.8)])
def test_the_best_of_twenty_starts_is_that_of_a_generic_optimiser(n: int, cell_w: float | None) -> None:
    groups = None if cell_w is None else sum_powers(2, n // 2, cell_w)
    problem = links(20 + n, 4, n, groups=groups)
    starts = random_starts(problem, np.random.default_rng(n), 20)
    ours = best_of(fp.step, problem, starts, max_iterations=3000, tolerance=1e-8)
    for e in range(4):
        theirs = generic_best(problem.take(np.array([e])), starts[:, e], cell_w)
        assert ours.sum_rate[e] == pytest.approx(theirs, rel=5e-3)
