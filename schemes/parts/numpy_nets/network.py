"""Any architecture in numpy: how a node acts from named weights, with the state of recurrent layers carried by it."""

from collections.abc import Callable, Mapping
from types import EllipsisType
from typing import NamedTuple, assert_never

import numpy as np

from schemes.parts.numpy_nets.architecture import (
    Activation,
    ActivationName,
    Architecture,
    DuelingHead,
    GaussianHead,
    Gru,
    Layer,
    LayerNorm,
    Linear,
    Lstm,
    shapes_of,
    state_size_of,
)
from schemes.parts.numpy_nets.mlp import Floats, Weights

Pass = Callable[[Floats], Floats]  # [..., in] to [..., out]
Step = Callable[[Floats, Floats, Floats], Floats]  # x and state to y; the next state is written to the third

_EPSILON = np.float32(1e-5)  # torch's, of layer norm
# Constants of small arrays are arrays: numpy converts a Python number, or its own scalar, at every call.
_ZERO, _HALF, _ONE = (np.array(value, np.float32) for value in (0.0, 0.5, 1.0))


class Cell(NamedTuple):
    """A recurrent layer; its state is this part of the network's, along the last axis."""

    step: Step
    part: tuple[EllipsisType, slice]


class Network:
    """`Network(architecture, weights)`; `weights`: a float32 array for each name of `architecture.shapes()`.

    ValueError if a name is missing, unknown or of another shape.
    """

    def __init__(self, architecture: Architecture, weights: Weights) -> None:
        _check(architecture, weights)
        self.architecture, self.weights = architecture, weights
        self._layers: list[Pass | Cell] = []
        at = 0  # where a layer's part of the state begins
        for i, (layer, inputs) in enumerate(architecture.widths()):
            own = {name: np.asarray(weights[f"{i}.{name}"], np.float32) for name in shapes_of(layer, inputs)}
            after = at + state_size_of(layer)
            self._layers.append(_layer(layer, own, (..., slice(at, after))))
            at = after
        self._state_size = at

    @property
    def inputs(self) -> int:
        return self.architecture.inputs

    @property
    def outputs(self) -> int:
        return self.architecture.outputs

    def first_state(self, replicas: int) -> Floats:
        """[E, state_size] of zeros: how an episode begins."""
        return np.zeros((replicas, self._state_size), np.float32)

    def __call__(self, x: Floats) -> Floats:
        """[E, inputs] to [E, outputs], from the first state."""
        return self.step(x, self.first_state(len(x)))[0]

    def step(self, x: Floats, state: Floats) -> tuple[Floats, Floats]:
        """x [E, inputs] and state [E, state_size] to y [E, outputs] and the next state."""
        if len(x) == 1:  # a vector times a matrix takes three quarters of the time of a matrix of one row
            y, after = self._forward(x[0], state[0])
            return y[None], after[None]
        return self._forward(x, state)

    def _forward(self, x: Floats, state: Floats) -> tuple[Floats, Floats]:
        after = np.empty(state.shape, np.float32)
        for layer in self._layers:
            x = layer.step(x, state[layer.part], after[layer.part]) if isinstance(layer, Cell) else layer(x)
        return x, after


def _check(architecture: Architecture, weights: Weights) -> None:
    expected, given = architecture.shapes(), {name: array.shape for name, array in weights.items()}
    wrong = sorted(name for name in expected.keys() | given.keys() if expected.get(name) != given.get(name))
    if wrong:
        name = wrong[0]
        raise ValueError(
            f"weights do not fit the architecture: {name} has shape {given.get(name, 'none')}, "
            f"expected {expected.get(name, 'none')} ({len(wrong)} of {len(expected)} names differ)"
        )


def _layer(layer: Layer, weights: Weights, part: tuple[EllipsisType, slice]) -> Pass | Cell:
    match layer:
        case Lstm():
            return Cell(_lstm(weights), part)
        case Gru():
            return Cell(_gru(weights), part)
        case _:
            return _pass(layer, weights)


def _pass(layer: Linear | Activation | LayerNorm | DuelingHead | GaussianHead, weights: Weights) -> Pass:
    match layer:
        case Linear() | GaussianHead(std="state"):
            return _affine(weights["weight"], weights["bias"])
        case Activation():
            return ACTIVATIONS[layer.function]
        case LayerNorm():
            return _layer_norm(weights["weight"], weights["bias"])
        case DuelingHead():
            return _dueling(weights)
        case GaussianHead():
            return _free_gaussian(weights)
        case _:
            assert_never(layer)


def _affine(weight: Floats, bias: Floats) -> Pass:
    matrix = np.ascontiguousarray(weight.T, np.float32)  # [in, out], once rather than at every pass

    def forward(x: Floats) -> Floats:
        y: Floats = x.dot(matrix)
        y += bias
        return y

    return forward


def _layer_norm(weight: Floats, bias: Floats) -> Pass:
    def forward(x: Floats) -> Floats:
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        normed: Floats = centred / np.sqrt(variance + _EPSILON) * weight + bias
        return normed

    return forward


def _dueling(weights: Weights) -> Pass:
    value = _affine(weights["value.weight"], weights["value.bias"])
    advantage = _affine(weights["advantage.weight"], weights["advantage.bias"])

    def forward(x: Floats) -> Floats:
        a = advantage(x)
        q: Floats = value(x) + a - a.mean(axis=-1, keepdims=True)
        return q

    return forward


def _free_gaussian(weights: Weights) -> Pass:
    mean, log_std = _affine(weights["weight"], weights["bias"]), weights["log_std"]

    def forward(x: Floats) -> Floats:
        m = mean(x)
        return np.concatenate([m, np.broadcast_to(log_std, m.shape)], axis=-1)

    return forward


def _lstm(weights: Weights) -> Step:
    """i, f, g, o of torch's LSTMCell: c' = f c + i g, h' = o tanh(c').

    One tanh serves all gates: sigmoid(x) = (1 + tanh(x / 2)) / 2, and halved weights give the halves of i, f and o
    exactly, as only exponents change.
    """
    units = weights["weight_hh"].shape[1]
    half = np.repeat(np.array([0.5, 0.5, 1.0, 0.5], np.float32), units)
    of_input = _affine(weights["weight_ih"] * half[:, None], (weights["bias_ih"] + weights["bias_hh"]) * half)
    of_state = np.ascontiguousarray((weights["weight_hh"] * half[:, None]).T)
    first, second, third, fourth = ((..., slice(k * units, (k + 1) * units)) for k in range(4))

    def step(x: Floats, state: Floats, after: Floats) -> Floats:
        gates = of_input(x)
        gates += state[first].dot(of_state)
        np.tanh(gates, gates)
        opened = gates + _ONE
        opened *= _HALF  # where g is, it is not read
        h, c = after[first], after[second]
        np.multiply(opened[second], state[second], c)
        c += opened[first] * gates[third]
        np.multiply(opened[fourth], np.tanh(c), h)
        return h

    return step


def _gru(weights: Weights) -> Step:
    """r, z, n of torch's GRUCell: n = tanh(W x + r (U h)), h' = (1 - z) n + z h."""
    of_input = _affine(weights["weight_ih"], weights["bias_ih"])
    of_state = _affine(weights["weight_hh"], weights["bias_hh"])

    def step(x: Floats, h: Floats, after: Floats) -> Floats:
        r, z, n = np.split(of_input(x), 3, axis=-1)
        r_h, z_h, n_h = np.split(of_state(h), 3, axis=-1)
        z = _sigmoid(z + z_h)
        np.add((1 - z) * np.tanh(n + _sigmoid(r + r_h) * n_h), z * h, after)
        return after

    return step


def _sigmoid(x: Floats) -> Floats:
    y: Floats = np.float32(0.5) * (1 + np.tanh(np.float32(0.5) * x))  # no overflow, unlike 1 / (1 + exp(-x))
    return y


def _relu(x: Floats) -> Floats:
    return np.maximum(x, _ZERO)


def _elu(x: Floats) -> Floats:
    return np.where(x > _ZERO, x, np.expm1(np.minimum(x, _ZERO)))


def _tanh(x: Floats) -> Floats:
    return np.tanh(x)


def _leaky_relu(x: Floats) -> Floats:
    return np.where(x > _ZERO, x, np.float32(0.01) * x)


ACTIVATIONS: Mapping[ActivationName, Pass] = {
    "relu": _relu,
    "elu": _elu,
    "tanh": _tanh,
    "leaky_relu": _leaky_relu,
}
