"""The description of a network as plain data: a sequence of layers, the last of which may be a head.

    Architecture(13, (Lstm(64), Linear(64), Activation("elu"), Linear(5)))
    mlp(13, (64, 64), GaussianHead(3, std="free"), activation="tanh")

Weights are named by the index of their layer, as in torch's `nn.Sequential`: "0.weight_ih", "1.weight", "3.bias". All
layers map [..., width] to [..., width]. Several categorical choices need one `Linear` with a logit for each choice;
`distributions.Categorical` splits them.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, assert_never

import msgspec

ActivationName = Literal["relu", "elu", "tanh", "leaky_relu"]
Shape = tuple[int, ...]


class Linear(msgspec.Struct, frozen=True, tag="linear"):
    """y = W x + b."""

    outputs: int


class Activation(msgspec.Struct, frozen=True, tag="activation"):
    """An elementwise function. ELU with alpha 1, leaky ReLU with slope 0.01."""

    function: ActivationName


class LayerNorm(msgspec.Struct, frozen=True, tag="layer_norm"):
    """Mean 0 and variance 1 over the width, then scale and shift: ba2016."""


class Lstm(msgspec.Struct, frozen=True, tag="lstm"):
    """A long short-term memory cell, equations as in torch's `LSTMCell`; its state is h and c, [..., 2 units]."""

    units: int


class Gru(msgspec.Struct, frozen=True, tag="gru"):
    """A gated recurrent unit, equations as in torch's `GRUCell`; its state is h, [..., units]."""

    units: int


class DuelingHead(msgspec.Struct, frozen=True, tag="dueling"):
    """Q = V + A - mean A: wang2016, eq. (9)."""

    actions: int


class GaussianHead(msgspec.Struct, frozen=True, tag="gaussian"):
    """Means and log standard deviations, [..., 2 size]; the latter depend on the input or are free parameters.

    `first_log_std`: what the log standard deviations begin with; with `std="state"` their biases do.
    """

    size: int
    std: Literal["state", "free"]
    first_log_std: float = 0.0


Layer = Linear | Activation | LayerNorm | Lstm | Gru | DuelingHead | GaussianHead


class Architecture(msgspec.Struct, frozen=True):
    """`inputs`: the width of x; `layers`: in the order of a pass. `msgspec.json` writes and reads it."""

    inputs: int
    layers: tuple[Layer, ...]

    def widths(self) -> Iterator[tuple[Layer, int]]:
        """Each layer and the width of its inputs."""
        width = self.inputs
        for layer in self.layers:
            yield layer, width
            width = outputs_of(layer, width)

    @property
    def outputs(self) -> int:
        """The width of y."""
        width = self.inputs
        for layer in self.layers:
            width = outputs_of(layer, width)
        return width

    @property
    def state_size(self) -> int:
        """The width of the carried state of all recurrent layers; 0 without any."""
        return sum(state_size_of(layer) for layer in self.layers)

    def shapes(self) -> dict[str, Shape]:
        """The shape of every weight by name."""
        return {
            f"{i}.{name}": shape
            for i, (layer, inputs) in enumerate(self.widths())
            for name, shape in shapes_of(layer, inputs).items()
        }


def mlp(
    inputs: int,
    hidden: Sequence[int],
    head: Layer,
    *,
    activation: ActivationName = "relu",
    layer_norm: bool = False,
) -> Architecture:
    """Hidden layers of Linear, LayerNorm if wanted, activation; then the head."""
    layers: list[Layer] = []
    for units in hidden:
        layers += [Linear(units), *([LayerNorm()] if layer_norm else []), Activation(activation)]
    return Architecture(inputs, (*layers, head))


def outputs_of(layer: Layer, inputs: int) -> int:
    """The width of a layer's outputs."""
    match layer:
        case Linear():
            return layer.outputs
        case Activation() | LayerNorm():
            return inputs
        case Lstm() | Gru():
            return layer.units
        case DuelingHead():
            return layer.actions
        case GaussianHead():
            return 2 * layer.size
        case _:
            assert_never(layer)


def state_size_of(layer: Layer) -> int:
    """The width of a layer's carried state."""
    match layer:
        case Lstm():
            return 2 * layer.units
        case Gru():
            return layer.units
        case _:
            return 0


def shapes_of(layer: Layer, inputs: int) -> dict[str, Shape]:
    """The shapes of one layer's weights, in the order of torch's state_dict."""
    match layer:
        case Linear():
            return _affine(inputs, layer.outputs)
        case Activation():
            return {}
        case LayerNorm():
            return {"weight": (inputs,), "bias": (inputs,)}
        case Lstm():
            return _gates(4 * layer.units, inputs, layer.units)
        case Gru():
            return _gates(3 * layer.units, inputs, layer.units)
        case DuelingHead():
            value, advantage = _affine(inputs, 1), _affine(inputs, layer.actions)
            return {f"value.{k}": v for k, v in value.items()} | {f"advantage.{k}": v for k, v in advantage.items()}
        case GaussianHead(std="free"):
            return {**_affine(inputs, layer.size), "log_std": (layer.size,)}
        case GaussianHead():
            return _affine(inputs, 2 * layer.size)
        case _:
            assert_never(layer)


def _affine(inputs: int, outputs: int) -> dict[str, Shape]:
    return {"weight": (outputs, inputs), "bias": (outputs,)}


def _gates(rows: int, inputs: int, units: int) -> dict[str, Shape]:
    return {"weight_ih": (rows, inputs), "weight_hh": (rows, units), "bias_ih": (rows,), "bias_hh": (rows,)}
