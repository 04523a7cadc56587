"""khan2020's policies: powers drawn from Gaussians and cut to [0, Pmax], as shares of Pmax (eq. (9), table II)."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from protocol.params import param
from schemes.parts.distributions import ClippedGaussian
from schemes.parts.learner_settings import PpoSettings, TrustRegionSettings
from schemes.parts.numpy_nets import Architecture, HiddenLayers
from schemes.parts.numpy_nets.architecture import GaussianHead, Linear, mlp

Algorithm = TrustRegionSettings | PpoSettings


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """What policy and value network look like: parameters that the learning schemes inherit."""

    hidden: HiddenLayers = param(
        (256, 256, 256), "units of the hidden layers of both networks, ELU", source="table II, eq. (24)"
    )
    first_log_std: Annotated[float, Ge(-5), Le(2)] = param(
        0.0, "the policy's first log standard deviation, in shares of Pmax; its first mean is 0", source="ours"
    )


def policy_of(settings: PolicySettings, inputs: int, powers: int) -> Architecture:
    """Mean and log standard deviation of each power, both from the inputs (fig. 3b)."""
    head = GaussianHead(powers, std="state", first_log_std=settings.first_log_std)
    return mlp(inputs, settings.hidden, head, activation="elu")


def value_of(settings: PolicySettings, inputs: int) -> Architecture:
    """The value network."""
    return mlp(inputs, settings.hidden, Linear(1), activation="elu")


def powers_of(size: int) -> ClippedGaussian:
    """The distribution of `size` powers as shares of Pmax, eq. (9)."""
    return ClippedGaussian(size, 0.0, 1.0)
