"""torch modules from an architecture's description: the differentiable twins of `numpy_nets.Network`."""

from collections.abc import Mapping
from typing import assert_never

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from schemes.parts.learner_start import check_fits
from schemes.parts.numpy_nets import Weights
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
)

ACTIVATIONS: Mapping[ActivationName, type[nn.Module]] = {
    "relu": nn.ReLU,
    "elu": nn.ELU,
    "tanh": nn.Tanh,
    "leaky_relu": nn.LeakyReLU,
}


class Net(nn.Sequential):
    """The layers of `architecture` with these weights. Names in `state_dict` are the numpy network's."""

    def __init__(self, architecture: Architecture, weights: Weights) -> None:
        super().__init__(*[_module(layer, inputs) for layer, inputs in architecture.widths()])
        self.architecture = architecture
        self.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})

    def first_state(self, columns: int) -> Tensor:
        """[B, state_size] of zeros."""
        return torch.zeros(columns, self.architecture.state_size)

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] to [..., outputs]; a recurrent one [B, inputs] to [B, outputs], from the first state."""
        if not self.architecture.state_size:
            y: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
            return y
        return self.step(x, self.first_state(len(x)))[0]

    def step(self, x: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
        """x [B, inputs] and state [B, state_size] to y [B, outputs] and the next state."""
        y, after = self.unroll(x[None], state, torch.zeros(1, len(x), dtype=torch.bool))
        return y[0], after[0]

    def unroll(self, x: Tensor, state: Tensor, begins: Tensor) -> tuple[Tensor, Tensor]:
        """A sequence x [T, B, inputs] from `state` [B, state_size] to y [T, B, outputs] and the states after each slot
        [T, B, state_size]. `begins` [T, B]: the first slots of episodes, before which the state becomes zero."""
        carried, at = [], 0
        keeps = (~begins).to(x.dtype)[..., None]
        for layer in self:
            if isinstance(layer, nn.LSTMCell | nn.GRUCell):
                size = layer.hidden_size * (2 if isinstance(layer, nn.LSTMCell) else 1)
                states = _recur(layer, x, state[:, at : at + size], keeps)
                carried.append(states)
                x, at = states[..., : layer.hidden_size], at + size
            else:
                x = layer(x)
        return x, torch.cat(carried, dim=2) if carried else state.expand(len(x), *state.shape)

    def arrays(self) -> dict[str, npt.NDArray[np.float32]]:
        """Copies of the weights by name, for `numpy_nets.Network`."""
        return {name: tensor.numpy().copy() for name, tensor in self.state_dict().items()}

    def set_arrays(self, weights: Weights) -> None:
        """The inverse of `arrays`. ValueError for other names or shapes."""
        check_fits(weights, self.arrays())
        self.load_state_dict({name: torch.tensor(weight) for name, weight in weights.items()})


class Dueling(nn.Module):
    """Q = V + A - mean A: wang2016, eq. (9)."""

    def __init__(self, inputs: int, actions: int) -> None:
        super().__init__()
        self.value, self.advantage = nn.Linear(inputs, 1), nn.Linear(inputs, actions)

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] to [..., actions]"""
        a: Tensor = self.advantage(x)
        q: Tensor = self.value(x) + a - a.mean(dim=-1, keepdim=True)
        return q


class FreeGaussian(nn.Linear):
    """Means that depend on the input, log standard deviations that are parameters."""

    def __init__(self, inputs: int, size: int) -> None:
        super().__init__(inputs, size)
        self.log_std = nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor) -> Tensor:
        """[..., inputs] to [..., 2 size]"""
        mean = super().forward(x)
        return torch.cat([mean, self.log_std.expand_as(mean)], dim=-1)


def _module(layer: Layer, inputs: int) -> nn.Module:
    match layer:
        case Linear():
            return nn.Linear(inputs, layer.outputs)
        case Activation():
            return ACTIVATIONS[layer.function]()
        case LayerNorm():
            return nn.LayerNorm(inputs)
        case Lstm():
            return nn.LSTMCell(inputs, layer.units)
        case Gru():
            return nn.GRUCell(inputs, layer.units)
        case DuelingHead():
            return Dueling(inputs, layer.actions)
        case GaussianHead(std="free"):
            return FreeGaussian(inputs, layer.size)
        case GaussianHead():
            return nn.Linear(inputs, 2 * layer.size)
        case _:
            assert_never(layer)


def _recur(cell: nn.LSTMCell | nn.GRUCell, x: Tensor, state: Tensor, keeps: Tensor) -> Tensor:
    """The states of one cell after each slot, [T, B, size]. keeps [T, B, 1] of 0 and 1."""
    # the loop over cells is twice as fast as nn.LSTM forward and backward on a processor, and resets cost nothing
    states = []
    for inputs, keep in zip(x, keeps, strict=True):
        state = state * keep
        if isinstance(cell, nn.LSTMCell):
            h, c = state.chunk(2, dim=1)
            state = torch.cat(cell(inputs, (h, c)), dim=1)
        else:
            state = cell(inputs, state)
        states.append(state)
    return torch.stack(states)
