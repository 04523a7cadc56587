"""Distributions of actions in torch, from the outputs of a network: the twins of `schemes.parts.distributions`."""

from math import log, pi
from typing import Protocol, assert_never

import numpy as np
import torch
from torch import Tensor

from schemes.parts.distributions import Categorical, ClippedGaussian, Distribution, Gaussian

_LOG_SQRT_2_PI = 0.5 * log(2 * pi)


class Policy(Protocol):
    """What learners need of a distribution. `outputs` [..., width], `actions` [..., K], all results [...]."""

    distribution: Distribution

    def log_prob(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """Log-probability, or density, of all K actions together."""
        ...

    def entropy(self, outputs: Tensor) -> Tensor:
        """In nats; of Gaussians the differential one, clipped or not."""
        ...

    def kl(self, outputs: Tensor, others: Tensor) -> Tensor:
        """D(outputs || others); clipping can only make it smaller."""
        ...


def policy_of(distribution: Distribution) -> Policy:
    """The differentiable twin of a description."""
    match distribution:
        case Categorical():
            return CategoricalPolicy(distribution)
        case Gaussian():
            return GaussianPolicy(distribution)
        case ClippedGaussian():
            return ClippedGaussianPolicy(distribution)
        case _:
            assert_never(distribution)


def mode(policy: Policy, outputs: Tensor) -> Tensor:
    """The most probable actions [..., K]."""
    return torch.from_numpy(policy.distribution.mode(outputs.detach().numpy()))


def sample(policy: Policy, outputs: Tensor, rng: np.random.Generator) -> Tensor:
    """Actions [..., K]: those that a node with the same outputs and generator draws."""
    return torch.from_numpy(policy.distribution.sample(outputs.detach().numpy(), rng))


class CategoricalPolicy:
    """K independent choices; their log-probabilities, entropies and divergences add up."""

    def __init__(self, distribution: Categorical) -> None:
        self.distribution: Distribution = distribution
        self._choices = list(distribution.choices)

    def log_prob(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """See `Policy`."""
        chosen = [
            log_p.gather(-1, action[..., None].long())[..., 0]
            for log_p, action in zip(self._log_p(outputs), actions.unbind(-1), strict=True)
        ]
        return torch.stack(chosen).sum(0)

    def entropy(self, outputs: Tensor) -> Tensor:
        """See `Policy`."""
        return torch.stack([-(log_p.exp() * log_p).sum(-1) for log_p in self._log_p(outputs)]).sum(0)

    def kl(self, outputs: Tensor, others: Tensor) -> Tensor:
        """See `Policy`."""
        pairs = zip(self._log_p(outputs), self._log_p(others), strict=True)
        return torch.stack([(log_p.exp() * (log_p - log_q)).sum(-1) for log_p, log_q in pairs]).sum(0)

    def _log_p(self, outputs: Tensor) -> list[Tensor]:
        return [logits.log_softmax(-1) for logits in torch.split(outputs, self._choices, dim=-1)]


class GaussianPolicy:
    """K independent Gaussians."""

    def __init__(self, distribution: Gaussian | ClippedGaussian) -> None:
        self.distribution: Distribution = distribution

    def log_prob(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """See `Policy`."""
        return _log_density(*_standardised(outputs, actions)).sum(-1)

    def entropy(self, outputs: Tensor) -> Tensor:
        """See `Policy`."""
        return (outputs.chunk(2, dim=-1)[1] + _LOG_SQRT_2_PI + 0.5).sum(-1)

    def kl(self, outputs: Tensor, others: Tensor) -> Tensor:
        """See `Policy`."""
        (mean, log_std), (other_mean, other_log_std) = outputs.chunk(2, dim=-1), others.chunk(2, dim=-1)
        squares = (2 * (log_std - other_log_std)).exp() + ((mean - other_mean) * (-other_log_std).exp()).square()
        return (other_log_std - log_std + 0.5 * (squares - 1)).sum(-1)


class ClippedGaussianPolicy(GaussianPolicy):
    """K independent Gaussians, their draws clipped to [low, high]; a bound has the probability of all beyond it."""

    def __init__(self, distribution: ClippedGaussian) -> None:
        super().__init__(distribution)
        self._low, self._high = distribution.low, distribution.high

    def log_prob(self, outputs: Tensor, actions: Tensor) -> Tensor:
        """See `Policy`."""
        z, log_std = _standardised(outputs, actions)
        below, above = torch.special.log_ndtr(z), torch.special.log_ndtr(-z)
        inside = _log_density(z, log_std)
        log_p = torch.where(actions <= self._low, below, torch.where(actions >= self._high, above, inside))
        return log_p.sum(-1)


def _standardised(outputs: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
    """(action - mean) / deviation, and the log of the deviation."""
    mean, log_std = outputs.chunk(2, dim=-1)
    return (actions - mean) * (-log_std).exp(), log_std


def _log_density(z: Tensor, log_std: Tensor) -> Tensor:
    return -0.5 * z.square() - log_std - _LOG_SQRT_2_PI
