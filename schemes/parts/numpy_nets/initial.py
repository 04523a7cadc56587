"""First weights of an architecture, drawn by a numpy generator, so that they follow from a position of the run."""

from collections.abc import Mapping
from math import sqrt
from typing import Literal

import numpy as np

from schemes.parts.numpy_nets.architecture import (
    Activation,
    Architecture,
    GaussianHead,
    Gru,
    Layer,
    LayerNorm,
    Lstm,
    Shape,
    shapes_of,
)
from schemes.parts.numpy_nets.mlp import Floats

_POLICY_HEAD_GAIN = 0.01
Initial = Literal["uniform", "orthogonal"]
# torch.nn.init.calculate_gain; ELU has none there and takes 1
_GAINS: Mapping[str, float] = {"relu": sqrt(2), "leaky_relu": sqrt(2 / (1 + 0.01**2)), "tanh": 5 / 3, "elu": 1.0}


def draw(
    architecture: Architecture, rng: np.random.Generator, *, initial: Initial = "uniform", head_gain: float = 1.0
) -> dict[str, Floats]:
    """Random weights by name.

    `uniform`: +-1 / sqrt(inputs), recurrent layers +-1 / sqrt(units); a perceptron's are those of `draw_mlp`.
    `orthogonal` (saxe2014): times the gain of the activation that follows, biases 0; the last
    layer's times `head_gain` instead, for a policy that begins near uniform.
    """
    weights: dict[str, Floats] = {}
    last = len(architecture.layers) - 1
    for i, (layer, inputs) in enumerate(architecture.widths()):
        gain = head_gain if i == last else _gain_after(architecture.layers[i + 1 :])
        for name, shape in shapes_of(layer, inputs).items():
            drawn = _uniform(layer, inputs, shape, rng) if initial == "uniform" else _orthogonal(shape, gain, rng)
            weights[f"{i}.{name}"] = _constant(layer, name, drawn)
    return weights


def draw_policy(architecture: Architecture, rng: np.random.Generator) -> dict[str, Floats]:
    """First weights of an on-policy learner's policy, which begins near uniform, or near mean 0 (yu2022, code)."""
    return draw(architecture, rng, initial="orthogonal", head_gain=_POLICY_HEAD_GAIN)


def _uniform(layer: Layer, inputs: int, shape: Shape, rng: np.random.Generator) -> Floats:
    bound = 1 / np.sqrt(layer.units if isinstance(layer, Lstm | Gru) else inputs)
    return rng.uniform(-bound, bound, shape).astype(np.float32)


def _orthogonal(shape: Shape, gain: float, rng: np.random.Generator) -> Floats:
    """Orthonormal columns, or rows if there are fewer rows; the signs of R make the draw uniform."""
    if len(shape) == 1:
        return np.zeros(shape, np.float32)
    q, r = np.linalg.qr(rng.standard_normal((max(shape), min(shape))))
    q *= np.sign(np.diag(r))
    return np.ascontiguousarray(gain * (q if shape[0] >= shape[1] else q.T), np.float32)


def _constant(layer: Layer, name: str, drawn: Floats) -> Floats:
    """What begins with a given value instead of a drawn one; the draw is spent all the same."""
    match layer, name:
        case LayerNorm(), "weight":
            return np.ones_like(drawn)
        case LayerNorm(), "bias":
            return np.zeros_like(drawn)
        case GaussianHead(), "log_std":
            return np.full_like(drawn, layer.first_log_std)
        case GaussianHead(std="state"), "bias":
            drawn[layer.size :] = layer.first_log_std
    return drawn


def _gain_after(layers: tuple[Layer, ...]) -> float:
    """The gain of the next activation; layer norms between do not count."""
    following = next((layer for layer in layers if not isinstance(layer, LayerNorm)), None)
    return _GAINS[following.function] if isinstance(following, Activation) else 1.0
