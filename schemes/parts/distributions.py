"""Distributions of actions, given by the outputs of a network: how a node draws, and how probable its draw was.

A description is plain data; `schemes.parts.nn.policies` builds the differentiable twin from it. Actions have a trailing
axis K: one entry per choice or per continuous action. Numbers drawn never depend on the outputs.
"""

from dataclasses import dataclass
from math import log, pi
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Actions = npt.NDArray[np.int64] | Floats

_LOG_SQRT_2_PI = 0.5 * log(2 * pi)
# Chebyshev coefficients of erfc, fractional error below 1.2e-7 everywhere: press1992, 6.2
_ERFC = (-1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807)
_ERFC_TAIL = (-1.13520398, 1.48851587, -0.82215223, 0.17087277)


@dataclass(frozen=True)
class Categorical:
    """K independent choices, the k-th among `choices[k]`. Network outputs: all logits in a row, [..., sum(choices)]."""

    choices: tuple[int, ...]

    @property
    def size(self) -> int:
        """K"""
        return len(self.choices)

    @property
    def outputs(self) -> int:
        """The width of the network's outputs."""
        return sum(self.choices)

    @property
    def uniform_log_prob(self) -> float | None:
        """Of any actions, where each choice is drawn uniformly."""
        return -sum(log(n) for n in self.choices)

    def sample(self, outputs: Floats, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Choices [..., K], drawn by Gumbel-max."""
        return self.mode(outputs + rng.gumbel(size=outputs.shape))

    def mode(self, outputs: npt.NDArray[np.floating]) -> npt.NDArray[np.int64]:
        """The most probable choices [..., K]."""
        return np.stack([logits.argmax(axis=-1) for logits in self._split(outputs)], axis=-1)

    def log_prob(self, outputs: Floats, actions: Actions) -> Floats:
        """Log-probability of all K choices together, [...]."""
        total = np.zeros(outputs.shape[:-1], np.float32)
        for k, logits in enumerate(self._split(outputs)):
            shifted = logits - logits.max(axis=-1, keepdims=True)
            chosen = np.take_along_axis(shifted, actions[..., k : k + 1].astype(np.int64), axis=-1)[..., 0]
            total += chosen - np.log(np.exp(shifted).sum(axis=-1))
        return total

    def _split(self, outputs: npt.NDArray[Any]) -> list[npt.NDArray[Any]]:
        return np.split(outputs, np.cumsum(self.choices)[:-1], axis=-1)


@dataclass(frozen=True)
class Gaussian:
    """K independent Gaussians. Network outputs: means, then log standard deviations, [..., 2 K]."""

    size: int

    @property
    def outputs(self) -> int:
        """The width of the network's outputs."""
        return 2 * self.size

    @property
    def uniform_log_prob(self) -> float | None:
        """None: nothing is uniform over all numbers."""
        return None

    def sample(self, outputs: Floats, rng: np.random.Generator) -> Floats:
        """Actions [..., K]."""
        mean, log_std = np.split(outputs, 2, axis=-1)
        noise = rng.standard_normal(mean.shape, np.float32)
        return np.asarray(mean + np.exp(log_std) * noise, np.float32)

    def mode(self, outputs: Floats) -> Floats:
        """The means [..., K]."""
        return outputs[..., : self.size]

    def log_prob(self, outputs: Floats, actions: Actions) -> Floats:
        """Log-density of all K actions together, [...]."""
        mean, log_std = np.split(outputs, 2, axis=-1)
        log_p: Floats = _log_density((actions - mean) * np.exp(-log_std), log_std).sum(axis=-1)
        return log_p


@dataclass(frozen=True)
class ClippedGaussian:
    """K independent Gaussians whose draws are clipped to [low, high], such as powers in khan2020.

    A bound has the probability of all that lies beyond it: fujita2018, sec. 3. Network outputs as of
    `Gaussian`.
    """

    size: int
    low: float
    high: float

    @property
    def outputs(self) -> int:
        """The width of the network's outputs."""
        return 2 * self.size

    @property
    def uniform_log_prob(self) -> float | None:
        """Of any actions, where each is drawn uniformly from [low, high]."""
        return -self.size * log(self.high - self.low)

    def sample(self, outputs: Floats, rng: np.random.Generator) -> Floats:
        """Actions [..., K] in [low, high]."""
        return self._clip(Gaussian(self.size).sample(outputs, rng))

    def mode(self, outputs: Floats) -> Floats:
        """The means [..., K], clipped."""
        return self._clip(outputs[..., : self.size])

    def log_prob(self, outputs: Floats, actions: Actions) -> Floats:
        """Log of the density, or at a bound of the probability, of all K clipped actions together, [...]."""
        mean, log_std = np.split(outputs, 2, axis=-1)
        z = (actions - mean) * np.exp(-log_std)
        inside, below, above = _log_density(z, log_std), log_normal_cdf(z), log_normal_cdf(-z)
        log_p = np.where(actions <= self.low, below, np.where(actions >= self.high, above, inside))
        total: Floats = log_p.sum(axis=-1)
        return total

    def _clip(self, actions: Floats) -> Floats:
        return np.clip(actions, np.float32(self.low), np.float32(self.high))


Distribution = Categorical | Gaussian | ClippedGaussian


def log_normal_cdf(z: Floats) -> Floats:
    """log Phi(z) elementwise, relative error of Phi below 1e-6 in the far tail too."""
    x = np.abs(z.astype(np.float64)) / np.sqrt(2)
    t = 1 / (1 + x / 2)
    tail = np.log(t) - x * x + np.polynomial.polynomial.polyval(t, (*_ERFC, *_ERFC_TAIL)) - np.log(2)  # log Phi(-|z|)
    log_p: Floats = np.where(z < 0, tail, np.log1p(-np.exp(tail))).astype(np.float32)
    return log_p


def _log_density(z: Floats, log_std: Floats) -> Floats:
    log_p: Floats = np.float32(-0.5) * np.square(z) - log_std - np.float32(_LOG_SQRT_2_PI)
    return log_p
