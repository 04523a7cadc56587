"""A ReLU perceptron known by its weights alone, and its first weights."""

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le, MaxLen

Floats = npt.NDArray[np.float32]
Weights = Mapping[str, Floats]
HiddenLayers = Annotated[tuple[Annotated[int, Ge(1), Le(16_384)], ...], MaxLen(16)]  # a parameter: units by layer
_ZERO = np.zeros((), np.float32)  # an array, as numpy would convert a number at every call


def draw_mlp(rng: np.random.Generator, sizes: Sequence[int]) -> dict[str, Floats]:
    """Random weights for layers of `sizes` [inputs, hidden ..., outputs], uniform in +-1 / sqrt(inputs of the layer).

    Named as in torch's `nn.Sequential(Linear, ReLU, Linear, ...)`: "0.weight" [out, in], "0.bias" [out], "2.weight" ...
    """
    weights: dict[str, Floats] = {}
    for layer, (inputs, outputs) in enumerate(pairwise(sizes)):
        bound = 1 / np.sqrt(inputs)
        weights[f"{2 * layer}.weight"] = rng.uniform(-bound, bound, (outputs, inputs)).astype(np.float32)
        weights[f"{2 * layer}.bias"] = rng.uniform(-bound, bound, outputs).astype(np.float32)
    return weights


class Mlp:
    """ReLU between layers, none after the last. `Mlp(weights)(x)`: [E, inputs] to [E, outputs]."""

    def __init__(self, weights: Weights) -> None:
        names = sorted((name.removesuffix(".weight") for name in weights if name.endswith(".weight")), key=int)
        if not names:
            raise ValueError(f"no layers among {sorted(weights)}; expected 0.weight, 0.bias, 2.weight, ...")
        self.weights = weights
        self._layers = [_layer(weights[f"{name}.weight"], weights[f"{name}.bias"]) for name in names]
        if any(len(bias) != len(matrix) for (_, bias), (matrix, _) in pairwise(self._layers)):
            raise ValueError("a layer has other inputs than the layer before has outputs")

    @property
    def inputs(self) -> int:
        return len(self._layers[0][0])

    @property
    def outputs(self) -> int:
        return len(self._layers[-1][1])

    def first_state(self, replicas: int) -> Floats:
        """[E, 0]: it carries no state."""
        return np.zeros((replicas, 0), np.float32)

    def step(self, x: Floats, state: Floats) -> tuple[Floats, Floats]:
        """The outputs, and the state as it was."""
        return self(x), state

    def __call__(self, x: Floats) -> Floats:
        if len(x) == 1:  # a vector times a matrix takes three quarters of the time of a matrix of one row
            return self._forward(x[0])[None]
        return self._forward(x)

    def _forward(self, x: Floats) -> Floats:
        *hidden, (matrix, bias) = self._layers
        for hidden_matrix, hidden_bias in hidden:
            x = x.dot(hidden_matrix)
            x += hidden_bias
            np.maximum(x, _ZERO, out=x)
        x = x.dot(matrix)
        x += bias
        return x


def _layer(weight: Floats, bias: Floats) -> tuple[Floats, Floats]:
    """Weight [out, in] to a contiguous [in, out], once rather than at every pass; and the bias [out]. ValueError if the
    two do not fit."""
    if weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise ValueError(f"a weight {weight.shape} and a bias {bias.shape} make no layer")
    return np.ascontiguousarray(weight.T, np.float32), np.asarray(bias, np.float32)
