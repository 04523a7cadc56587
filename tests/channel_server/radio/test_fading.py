"""Fading: its autocorrelation, its distribution, and no zero gain."""

from typing import Any

import numpy as np
import pytest
from scipy.special import j0

from channel_server.radio import fading
from channel_server.radio.decibels import to_db


@pytest.mark.parametrize("draw", [fading.draw_coefficients, fading.draw_single])
@pytest.mark.parametrize("rho", [0.3, 0.9, 0.99])
def test_autocorrelation_is_rho_to_the_lag(rho: float, draw: Any) -> None:
    rng = np.random.default_rng(3)
    h = start = draw(rng, (40_000,))
    for lag in (1, 2, 3):
        h = fading.step(h, rho, rng)
        measured = np.vdot(start, h) / np.vdot(start, start).real
        assert measured == pytest.approx(rho**lag, abs=0.02)
    assert fading.power(h).mean() == pytest.approx(1.0, abs=0.03)
    assert h.dtype == start.dtype


def test_a_step_is_the_equation_to_the_last_bit() -> None:
    before = fading.draw_coefficients(np.random.default_rng(6), (50, 3))[:, ::2]
    fresh = fading.draw_coefficients(np.random.default_rng(7), before.shape)
    after = fading.step(before, 0.6425, np.random.default_rng(7))
    np.testing.assert_array_equal(after, 0.6425 * before + np.sqrt(1 - 0.6425**2) * fresh)


def test_all_ways_to_draw_the_power_are_exponential_of_mean_one() -> None:
    for drawn in (
        fading.draw_power(np.random.default_rng(4), (50_000,)),
        fading.power(fading.draw_coefficients(np.random.default_rng(5), (50_000,))),
        fading.power(fading.draw_single(np.random.default_rng(6), (50_000,))),
    ):
        below = [float((drawn < x).mean()) for x in (0.1, 1.0, 3.0)]
        assert below == pytest.approx(list(1 - np.exp([-0.1, -1.0, -3.0])), abs=0.01)
        assert to_db(drawn).mean() == pytest.approx(fading.RAYLEIGH_MEAN_DB, abs=0.12)
        assert to_db(drawn).std() == pytest.approx(fading.RAYLEIGH_STD_DB, abs=0.12)


def test_power_is_the_square_of_the_modulus() -> None:
    assert fading.power(np.array([3 + 4j])).tolist() == [25.0]


class _Zero(np.random.Generator):
    """Draws the zeros that float32 has."""

    def standard_exponential(self, size: Any = None, dtype: Any = np.float64, *_: Any, **__: Any) -> Any:
        return np.zeros(size, dtype)


def test_no_gain_is_zero() -> None:
    assert (fading.draw_power(_Zero(np.random.PCG64(1)), (4,)) > 0).all()


def test_jakes_correlation_at_published_values() -> None:
    assert fading.jakes_correlation(10.0, 20e-3) == pytest.approx(0.6425, abs=5e-5)  # zhang2025's authors
    assert fading.jakes_correlation(0.0, 1.0) == 1.0
    assert fading.jakes_correlation(2.404825557695773, 1 / (2 * np.pi)) == pytest.approx(0, abs=1e-15)  # first zero


@pytest.mark.parametrize("x", [1e-6, 0.5, 1.0, 3.8, 10.0, 63.7, 500.0, 1e4])
def test_jakes_correlation_is_the_bessel_function(x: float) -> None:
    for sign in (1, -1):
        assert fading.jakes_correlation(sign * x, 1 / (2 * np.pi)) == pytest.approx(j0(x), abs=2e-14)
