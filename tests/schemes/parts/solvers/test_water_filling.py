"""Water-filling by its optimality conditions; forward-looking water-filling by its fixed points."""

from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemes.parts.solvers import flwf, water_filling

SEEDS = st.integers(0, 2**31)


@given(SEEDS, st.integers(1, 7), st.floats(0, 1e3), st.sampled_from([1e-3, 1.0, 1e6]))
def test_water_filling_is_optimal(seed: int, n: int, budget: float, spread: float) -> None:
    floors = np.random.default_rng(seed).normal(size=(3, 2, n)) * spread
    powers, level = water_filling.fill(floors, budget)
    np.testing.assert_allclose(powers.sum(axis=-1), budget, rtol=1e-12, atol=1e-300)
    assert (powers >= 0).all()
    heights = np.broadcast_to(level[..., None], floors.shape)
    scale = np.abs(floors).max() + budget
    np.testing.assert_allclose((floors + powers)[powers > 0], heights[powers > 0], rtol=0, atol=1e-13 * scale)
    assert (floors[powers == 0] >= heights[powers == 0] - 1e-13 * scale).all()


def test_the_rate_is_that_of_no_other_powers() -> None:
    rng = np.random.default_rng(1)
    floors = rng.exponential(size=6)
    best = np.log1p(water_filling.fill(floors, 2.0).powers / floors).sum()
    others = np.log1p(2.0 * rng.dirichlet(np.ones(6), 100_000) / floors).sum(axis=-1)
    assert best - 0.06 < others.max() <= best


def test_powers_far_below_the_floors_keep_their_digits() -> None:
    powers, _ = water_filling.fill(np.array([1e12, 1e12, 1e12 + 1]), 3.0)
    np.testing.assert_allclose(powers, [4 / 3, 4 / 3, 1 / 3], rtol=1e-14)


def test_budgets_differ_and_useless_channels_stay_off() -> None:
    powers, level = water_filling.fill(np.array([[1.0, np.inf, 2.0]] * 3), np.array([0.0, 0.5, 3.0]))
    assert powers.tolist() == [[0, 0, 0], [0.5, 0, 0], [2, 0, 1]]
    assert level.tolist() == [1.0, 1.5, 3.0]


COSTS = np.array([1.0, 2.0, 4.0, 50.0])


def test_the_published_fixed_point() -> None:
    powers = np.full(4, 7.5)
    for _ in range(600):
        powers, level = flwf.respond(COSTS, powers, 30.0)
    np.testing.assert_allclose(powers, [20.506, 9.354, 0.139, 0.0], atol=5e-4)
    assert level == pytest.approx(4.0406, abs=5e-5)
    np.testing.assert_allclose(water_filling.fill(COSTS, 30.0).powers, [11.33, 10.33, 8.33, 0.0], atol=5e-3)


def test_at_a_fixed_point_all_used_channels_have_one_marginal() -> None:
    rng = np.random.default_rng(3)
    costs, budget = 10 ** rng.uniform(-0.5, 1.0, (500, 6)), 10 ** rng.uniform(-1, 1.7, 500)
    powers = np.tile(budget[:, None] / 6, 6)
    for _ in range(3000):
        powers, level = flwf.respond(costs, powers, budget)
    phi = -np.sqrt(costs / (2 * costs + powers))
    reached = costs * (costs + powers) / (costs - phi * powers)
    heights = np.broadcast_to(level[:, None], costs.shape)
    used = powers > 1e-9
    assert 0.2 < used.mean() < 0.8
    np.testing.assert_allclose(reached[used], heights[used], rtol=1e-6)
    assert (costs[~used] >= heights[~used] * (1 - 1e-6)).all()


@given(SEEDS)
def test_one_iteration_is_that_of_the_equations(seed: int) -> None:
    rng = np.random.default_rng(seed)
    costs, before = rng.exponential(size=5) + 1e-3, rng.exponential(size=5)
    phi = -np.sqrt(costs / (2 * costs + before))
    powers, level = flwf.respond(costs, before, 3.0)
    expected = np.maximum(level - (costs**2 + phi * before**2) / (costs - phi * before), 0)  # eq. (15)
    np.testing.assert_allclose(powers, expected, atol=1e-10)
    assert powers.sum() == pytest.approx(3.0)


@pytest.mark.parametrize("exponent", [-160, -12, 0, 12, 150])
@pytest.mark.parametrize("power_exponent", [-10, 0, 10])
def test_the_marginal_keeps_its_digits(exponent: int, power_exponent: int) -> None:
    c, p = float(f"3e{exponent}"), float(f"7e{exponent + power_exponent}")
    with localcontext() as context:
        context.prec = 60
        cost, power = Decimal(c), Decimal(p)
        phi = -(cost / (2 * cost + power)).sqrt()
        exact = (cost**2 + phi * power**2) / (cost - phi * power) + power  # the floor of eq. (15), plus p
    assert flwf.marginal(np.array([c]), np.array([p]))[0] == pytest.approx(float(exact), rel=1e-14)


def test_a_channel_of_no_use_gets_nothing() -> None:
    assert flwf.respond(np.array([1.0, np.inf]), np.array([0.5, 0.5]), 2.0).powers.tolist() == [2.0, 0.0]
