"""N multilayer perceptrons as one: a single batched product per layer, no loop over networks.

Gradients are written by hand into buffers that live as long as the weights: for layers of this size autograd's fresh
ones cost as much as the products that fill them.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from schemes.parts.numpy_nets import draw_mlp


class Layer:
    """N linear layers: `weight` [N, in, out], `bias` [N, 1, out], float32."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias = weight, bias

    @classmethod
    def draw(cls, rngs: Sequence[np.random.Generator], inputs: int, outputs: int) -> "Layer":
        """Uniform in +-1 / sqrt(inputs), network n from `rngs[n]`: its weights do not depend on how many others."""
        layer = cls(torch.empty(len(rngs), inputs, outputs), torch.empty(len(rngs), 1, outputs))
        for n, rng in enumerate(rngs):
            drawn = draw_mlp(rng, (inputs, outputs))
            layer.weight[n] = torch.from_numpy(drawn["0.weight"]).T
            layer.bias[n, 0] = torch.from_numpy(drawn["0.bias"])
        return layer

    @property
    def tensors(self) -> tuple[Tensor, Tensor]:
        return self.weight, self.bias

    def copy(self) -> "Layer":
        return Layer(self.weight.clone(), self.bias.clone())

    def __call__(self, x: Tensor) -> Tensor:
        """[N, B, in] to [N, B, out]"""
        return torch.baddbmm(self.bias, x, self.weight)

    def back(self, upstream: Tensor) -> Tensor:
        """The gradient at the inputs [N, B, in] from the one at the outputs [N, B, out]."""
        return torch.bmm(upstream, self.weight.mT)

    def gradients(self, x: Tensor, upstream: Tensor) -> None:
        """Fill `.grad` of weight and bias, which an optimiser has attached."""
        torch.bmm(x.mT, upstream, out=self.weight.grad)
        torch.sum(upstream, 1, keepdim=True, out=self.bias.grad)


class StackedMlp:
    """N perceptrons, ReLU between layers, none after the last.

    `hidden` below are the activations between the layers, each [N, B, width].
    """

    def __init__(self, layers: Sequence[Layer]) -> None:
        self.layers = tuple(layers)

    @classmethod
    def draw(cls, rngs: Sequence[np.random.Generator], sizes: Sequence[int]) -> "StackedMlp":
        """Layers of `sizes` [inputs, hidden ..., outputs]; network n from `rngs[n]`, as `draw_mlp` would."""
        return cls([Layer.draw(rngs, *ends) for ends in pairwise(sizes)])

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return tuple(_tensors(self.layers))

    def copy(self) -> "StackedMlp":
        return StackedMlp([layer.copy() for layer in self.layers])

    def __call__(self, x: Tensor) -> Tensor:
        """[N, B, in] to [N, B, out]"""
        return self.forward(x)[1]

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """`hidden` and the outputs."""
        return self.onward(self.layers[0](x))

    def onward(self, first: Tensor) -> tuple[list[Tensor], Tensor]:
        """`hidden` and the outputs, from what the first layer gives before its ReLU."""
        hidden, y = [], first
        for layer in self.layers[1:]:
            hidden.append(torch.relu(y))
            y = layer(hidden[-1])
        return hidden, y

    def back(self, hidden: Sequence[Tensor], upstream: Tensor) -> list[Tensor]:
        """The gradient at every layer's output before its ReLU, first layer first."""
        at = [upstream]
        for layer, h in zip(reversed(self.layers[1:]), reversed(hidden), strict=True):
            at.append(layer.back(at[-1]).mul_(h > 0))
        return at[::-1]

    def gradients(self, x: Tensor, hidden: Sequence[Tensor], upstream: Tensor) -> Tensor:
        """Fill every `.grad`; returns the gradient at the first layer's output before its ReLU."""
        at = self.back(hidden, upstream)
        for layer, inputs, gradient in zip(self.layers, (x, *hidden), at, strict=True):
            layer.gradients(inputs, gradient)
        return at[0]

    def weights(self, network: int) -> dict[str, npt.NDArray[np.float32]]:
        """One network's, named and laid out as in `nn.Sequential(Linear, ReLU, Linear, ...)`; copies."""
        weights: dict[str, npt.NDArray[np.float32]] = {}
        for i, layer in enumerate(self.layers):
            weights[f"{2 * i}.weight"] = layer.weight[network].T.numpy().copy("C")
            weights[f"{2 * i}.bias"] = layer.bias[network, 0].numpy().copy()
        return weights


def follow(targets: Sequence[Tensor], tensors: Sequence[Tensor], tau: float) -> None:
    """theta' <- tau theta + (1 - tau) theta'"""
    for target, tensor in zip(targets, tensors, strict=True):
        target.lerp_(tensor, tau)


def snapshot(tensors: Sequence[Tensor]) -> list[npt.NDArray[np.float32]]:
    """Copies."""
    return [tensor.numpy().copy() for tensor in tensors]


def restore(tensors: Sequence[Tensor], data: Sequence[npt.NDArray[np.float32]]) -> None:
    """In place: torch's own memory is aligned to 64 bytes, on which the last bits of a product may depend."""
    for tensor, values in zip(tensors, data, strict=True):
        tensor.copy_(torch.from_numpy(values))


def _tensors(layers: Sequence[Layer]) -> Iterator[Tensor]:
    for layer in layers:
        yield from layer.tensors
