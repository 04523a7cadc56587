"""Exploration: the shares it draws, and that its numbers do not depend on the outputs."""

import numpy as np

from schemes.parts.exploration import EpsilonSoftmax, GaussianNoise

OUTPUTS = np.array([0.0, 1.0, 2.0], np.float32)


def shares(exploration: EpsilonSoftmax, outputs: np.ndarray = OUTPUTS) -> np.ndarray:
    choices = exploration.choose(np.tile(outputs, (40_000, 1)), np.random.default_rng(1))
    return np.bincount(choices, minlength=3) / 40_000


def test_epsilon_greedy() -> None:
    np.testing.assert_allclose(shares(EpsilonSoftmax(0.3)), [0.1, 0.1, 0.8], atol=0.01)
    np.testing.assert_allclose(shares(EpsilonSoftmax(0.0)), [0, 0, 1])


def test_gumbel_noise_draws_from_the_softmax() -> None:
    p = np.exp(OUTPUTS / 0.5) / np.exp(OUTPUTS / 0.5).sum()
    np.testing.assert_allclose(shares(EpsilonSoftmax(0.0, 0.5)), p, atol=0.01)


def test_gaussian_noise_is_clipped() -> None:
    noise, outputs = GaussianNoise(0.5, -1, 1), np.zeros((40_000, 1), np.float32)
    actions = noise.act(outputs, np.random.default_rng(1))
    assert actions.dtype == np.float32
    assert np.abs(actions).max() == 1
    np.testing.assert_allclose((np.abs(actions) == 1).mean(), 0.0455, atol=0.004)  # beyond two deviations
    inside = np.abs(actions) < 0.5
    np.testing.assert_allclose(inside.mean(), 0.6827, atol=0.01)  # within one
    shifted = noise.act(outputs + np.float32(0.25), np.random.default_rng(1))
    np.testing.assert_allclose((shifted - actions)[inside & (shifted < 1)], 0.25, atol=1e-6)
