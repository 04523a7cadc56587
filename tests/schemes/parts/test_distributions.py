"""Distributions in numpy: log-probabilities against closed forms, draws against log-probabilities."""

from math import erf, erfc, exp, log, pi, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemes.parts.distributions import Categorical, ClippedGaussian, Gaussian, log_normal_cdf

DRAWS = 40_000


def test_several_choices_are_drawn_with_their_probabilities() -> None:
    kind = Categorical((2, 3))
    outputs = np.tile(np.array([0.0, 1.0, 0.5, -0.5, 0.0], np.float32), (DRAWS, 1))
    drawn = kind.sample(outputs, np.random.default_rng(1))
    assert drawn.shape == (DRAWS, 2)
    for first in range(2):
        for second in range(3):
            share = ((drawn[:, 0] == first) & (drawn[:, 1] == second)).mean()
            log_p = kind.log_prob(outputs[:1], np.array([[first, second]]))[0]
            p = exp([0, 1][first]) / (1 + exp(1)) * exp([0.5, -0.5, 0][second]) / (exp(0.5) + exp(-0.5) + 1)
            assert log_p == pytest.approx(log(p), abs=1e-5)
            assert share == pytest.approx(p, abs=0.01)
    assert kind.mode(outputs[:1]).tolist() == [[1, 0]]


def test_a_gaussian_has_the_normal_density() -> None:
    outputs = np.array([[1.0, -2.0, 0.5, -1.0]], np.float32)
    actions = np.array([[1.5, -2.2]], np.float32)
    density = [-0.5 * ((a - m) / exp(s)) ** 2 - s - 0.5 * log(2 * pi) for a, m, s in ((1.5, 1, 0.5), (-2.2, -2, -1.0))]
    assert Gaussian(2).log_prob(outputs, actions)[0] == pytest.approx(sum(density), rel=1e-5)
    drawn = Gaussian(2).sample(np.tile(outputs, (DRAWS, 1)), np.random.default_rng(1))
    np.testing.assert_allclose(drawn.mean(0), [1, -2], atol=0.03)
    np.testing.assert_allclose(drawn.std(0), np.exp([0.5, -1]), rtol=0.02)


def test_a_clipped_gaussian_has_the_rest_at_its_bounds() -> None:
    kind, outputs = ClippedGaussian(1, 0, 2), np.array([[0.5, 0.0]], np.float32)
    drawn = kind.sample(np.tile(outputs, (DRAWS, 1)), np.random.default_rng(1))
    below, above = 0.5 * (1 + erf(-0.5 / sqrt(2))), 0.5 * erfc(1.5 / sqrt(2))
    assert (drawn == 0).mean() == pytest.approx(below, abs=0.01)
    assert (drawn == 2).mean() == pytest.approx(above, abs=0.01)
    bounds = [[0.0], [2.0], [1.0]]
    expected = [log(below), log(above), -0.125 - 0.5 * log(2 * pi)]
    np.testing.assert_allclose(
        kind.log_prob(np.repeat(outputs, 3, 0), np.array(bounds, np.float32)), expected, rtol=1e-5
    )
    assert kind.mode(np.array([[-3.0, 0.0]], np.float32)).tolist() == [[0.0]]


@given(st.floats(-36, 8))
def test_the_log_of_the_normal_distribution(z: float) -> None:
    z = float(np.float32(z))
    expected = log(0.5 * erfc(-z / sqrt(2)))  # math.erfc holds its relative precision to -37
    assert log_normal_cdf(np.array([z], np.float32))[0] == pytest.approx(expected, rel=3e-7, abs=1e-6)


@given(st.integers(0, 1000))
def test_draws_use_the_same_numbers_whatever_the_outputs(seed: int) -> None:
    for kind in (Categorical((3, 2)), Gaussian(2), ClippedGaussian(2, -1, 1)):
        after = []
        for scale in (0, 1):
            rng = np.random.default_rng(seed)
            kind.sample(scale * np.ones((4, kind.outputs), np.float32), rng)
            after.append(rng.random())
        assert after[0] == after[1]
