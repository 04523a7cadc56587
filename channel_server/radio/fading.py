"""Small-scale fading: first-order complex Gauss-Markov, h_t = rho h_{t-1} + sqrt(1 - rho^2) e_t, mean |h|^2 = 1."""

from math import log, pi, sqrt

import numpy as np
import numpy.typing as npt

from channel_server.radio.decibels import Floats

Coefficients = npt.NDArray[np.complex128] | npt.NDArray[np.complex64]

# Of 10 log10 |h|^2 under Rayleigh fading: -10 gamma / ln 10 and 10 pi / (sqrt(6) ln 10).
RAYLEIGH_MEAN_DB = -10 * np.euler_gamma / log(10)
RAYLEIGH_STD_DB = 10 * pi / (sqrt(6) * log(10))
_TINY = np.finfo(np.float32).tiny


def draw_power(rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
    """|h|^2 of Rayleigh fading without memory, of any `shape`: exponential of mean 1, half the draws of a complex h."""
    return draw_power_single(rng, shape).astype(np.float64)


def draw_power_single(rng: np.random.Generator, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """As `draw_power` in single precision."""
    # float32 takes two thirds of the time and is far finer than the model; its exact zeros, one in ten million, become
    # the smallest normal number, so that every gain has a logarithm
    draws = rng.standard_exponential(shape, np.float32)
    return np.maximum(draws, _TINY)


def draw_coefficients(rng: np.random.Generator, shape: tuple[int, ...]) -> Coefficients:
    """Circular complex Gaussian h of mean power 1."""
    parts = rng.standard_normal((*shape, 2))
    parts *= np.sqrt(0.5)
    return parts.view(np.complex128)[..., 0]


def draw_single(rng: np.random.Generator, shape: tuple[int, ...]) -> Coefficients:
    """As `draw_coefficients` in single precision and half the time: |h|^2 exponential, the angle uniform."""
    amplitude = np.sqrt(draw_power_single(rng, shape))
    angle = rng.random(shape, np.float32)
    angle *= np.float32(2 * pi)
    coefficients = np.empty(shape, np.complex64)
    np.multiply(amplitude, np.cos(angle), out=coefficients.real)
    np.multiply(amplitude, np.sin(angle), out=coefficients.imag)
    return coefficients


def step(coefficients: Coefficients, correlation: float, rng: np.random.Generator) -> Coefficients:
    """The coefficients one slot later: rho h + sqrt(1 - rho^2) e, `correlation` rho in [0, 1]; any shape, in the
    precision that they have."""
    single = coefficients.dtype == np.complex64
    after = (draw_single if single else draw_coefficients)(rng, coefficients.shape)
    # real factors times real parts, in place: half the products of complex arithmetic, and no large temporary arrays
    parts, before = (np.ascontiguousarray(h).view(h.real.dtype) for h in (after, coefficients))
    parts *= parts.dtype.type(np.sqrt(1 - correlation**2))
    parts += parts.dtype.type(correlation) * before
    return after


def power(coefficients: Coefficients) -> Floats:
    """|h|^2; np.abs would take a square root first."""
    return np.asarray(coefficients.real**2 + coefficients.imag**2)


def jakes_correlation(doppler_hz: float, interval_s: float) -> float:
    """J0(2 pi f_d T): the correlation of the coefficients of two slots T apart under Jakes' spectrum.

    J0(x) is the mean of cos(x cos(theta)) over theta. The midpoint rule with n points leaves 2 J_2n(x) and less, which
    is nothing where 2 n is well above x.
    """
    x = 2 * pi * abs(doppler_hz * interval_s)
    points = 32 + int(x)
    theta = pi * (np.arange(points) + 0.5) / points
    return float(np.cos(x * np.cos(theta)).mean())
