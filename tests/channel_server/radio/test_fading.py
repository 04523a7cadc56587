"""Fading: its autocorrelation, its distribution, and no zero gain."""

from typing import Any

import numpy as np
import pytest

from channel_server.radio import fading
from channel_server.radio.decibels import to_db


@pytest.mark.parametrize("rho", [0.3, 0.9, 0.99])
def test_autocorrelation_is_rho_to_the_lag(rho: float) -> None:
    rng = np.random.default_rng(3)
    h = start = fading.draw_coefficients(rng, (40_000,))
    for lag in (1, 2, 3):
        h = fading.step(h, rho, rng)
        measured = np.vdot(start, h) / np.vdot(start, start).real
        assert measured == pytest.approx(rho**lag, abs=0.02)
    assert fading.power(h).mean() == pytest.approx(1.0, abs=0.03)


def test_both_ways_to_draw_the_power_are_exponential_of_mean_one() -> None:
    for drawn in (
        fading.draw_power(np.random.default_rng(4), (50_000,)),
        fading.power(fading.draw_coefficients(np.random.default_rng(5), (50_000,))),
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
