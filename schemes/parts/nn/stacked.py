"""N multilayer perceptrons as one: a single batched product per layer, no loop over networks.

Gradients are hand-written, into buffers that live as long as the weights: for layers of this size autograd's fresh
buffers cost as much as the products that fill them.
"""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from schemes.parts.learner_start import check_fits
from schemes.parts.numpy_nets import Weights, draw_mlp


class StackedLayer:
    """N linear layers: `weight` [N, in, out], `bias` [N, 1, out], float32."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight, self.bias = weight, bias

    @classmethod
    def draw(cls, rngs: Sequence[np.random.Generator], inputs: int, outputs: int) -> "StackedLayer":
        """Uniform in +-1 / sqrt(inputs), network n from `rngs[n]`: its weights do not depend on N."""
        layer = cls(torch.empty(len(rngs), inputs, outputs), torch.empty(len(rngs), 1, outputs))
        for n, rng in enumerate(rngs):
            drawn = draw_mlp(rng, (inputs, outputs))
            layer.weight[n] = torch.from_numpy(drawn["0.weight"]).T
            layer.bias[n, 0] = torch.from_numpy(drawn["0.bias"])
        return layer

    @property
    def tensors(self) -> tuple[Tensor, Tensor]:
        return self.weight, self.bias

    def copy(self) -> "StackedLayer":
        return StackedLayer(self.weight.clone(), self.bias.clone())

    def __call__(self, x: Tensor) -> Tensor:
        """[N, B, in] to [N, B, out]"""
        return torch.baddbmm(self.bias, x, self.weight)

    def input_gradient(self, upstream: Tensor) -> Tensor:
        """dL/dx [N, B, in] from `upstream` = dL/dy [N, B, out]."""
        return torch.bmm(upstream, self.weight.mT)

    def backward(self, x: Tensor, upstream: Tensor) -> None:
        """dL/dweight and dL/dbias into `.grad`, which `Adam` attaches. x [N, B, in], upstream = dL/dy [N, B, out]."""
        torch.bmm(x.mT, upstream, out=self.weight.grad)
        torch.sum(upstream, 1, keepdim=True, out=self.bias.grad)


class StackedMlp:
    """N perceptrons, ReLU between layers, none after the last.

    `hidden` in the methods: the activations after each ReLU, each [N, B, width].
    """

    def __init__(self, layers: Sequence[StackedLayer]) -> None:
        self.layers = tuple(layers)

    @classmethod
    def draw(cls, rngs: Sequence[np.random.Generator], sizes: Sequence[int]) -> "StackedMlp":
        """Layers of `sizes` [inputs, hidden ..., outputs]; network n from `rngs[n]`, as `draw_mlp` would."""
        return cls([StackedLayer.draw(rngs, *ends) for ends in pairwise(sizes)])

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return tuple(_tensors(self.layers))

    def copy(self) -> "StackedMlp":
        return StackedMlp([layer.copy() for layer in self.layers])

    def __call__(self, x: Tensor) -> Tensor:
        """[N, B, in] to [N, B, out]"""
        return self.outputs_from_first(self.layers[0](x))

    def forward(self, x: Tensor) -> tuple[list[Tensor], Tensor]:
        """`hidden` and the outputs."""
        return self.forward_from_first(self.layers[0](x))

    def forward_from_first(self, first: Tensor) -> tuple[list[Tensor], Tensor]:
        """`hidden` and the outputs, from the first layer's output before its ReLU."""
        hidden, y = [], first
        for layer in self.layers[1:]:
            hidden.append(torch.relu(y))
            y = layer(hidden[-1])
        return hidden, y

    def outputs_from_first(self, first: Tensor) -> Tensor:
        """The outputs alone; overwrites `first`, so that no activation is a fresh buffer."""
        y = first
        for layer in self.layers[1:]:
            y = layer(torch.relu_(y))
        return y

    def output_gradients(self, hidden: Sequence[Tensor], upstream: Tensor) -> list[Tensor]:
        """dL/d(output before ReLU) of every layer, first layer first. `upstream`: dL/dy [N, B, out]."""
        gradients = [upstream]
        for layer, h in zip(reversed(self.layers[1:]), reversed(hidden), strict=True):
            gradients.append(layer.input_gradient(gradients[-1]).mul_(h > 0))
        return gradients[::-1]

    def backward(self, x: Tensor, hidden: Sequence[Tensor], upstream: Tensor) -> Tensor:
        """dL/dweight and dL/dbias of every layer into `.grad`; returns dL/d(output before ReLU) of the first layer."""
        gradients = self.output_gradients(hidden, upstream)
        for layer, inputs, gradient in zip(self.layers, (x, *hidden), gradients, strict=True):
            layer.backward(inputs, gradient)
        return gradients[0]

    def weights(self, network: int) -> dict[str, npt.NDArray[np.float32]]:
        """One network's, named and laid out as in `nn.Sequential(Linear, ReLU, Linear, ...)`; copies."""
        weights: dict[str, npt.NDArray[np.float32]] = {}
        for i, layer in enumerate(self.layers):
            weights[f"{2 * i}.weight"] = layer.weight[network].T.numpy().copy("C")
            weights[f"{2 * i}.bias"] = layer.bias[network, 0].numpy().copy()
        return weights

    def load(self, network: int, weights: Weights) -> None:
        """The inverse of `weights`. ValueError for other names or shapes."""
        check_fits(weights, self.weights(network))
        for i, layer in enumerate(self.layers):
            layer.weight[network].copy_(torch.from_numpy(weights[f"{2 * i}.weight"].T.copy()))
            layer.bias[network, 0].copy_(torch.from_numpy(weights[f"{2 * i}.bias"]))


def soft_update(targets: Sequence[Tensor], tensors: Sequence[Tensor], tau: float) -> None:
    """theta' <- tau theta + (1 - tau) theta', in place."""
    for target, tensor in zip(targets, tensors, strict=True):
        target.lerp_(tensor, tau)


def by_agent(states: npt.NDArray[np.float32]) -> Tensor:
    """[B, N, S] to [N, B, S], in memory of torch's own."""
    return torch.tensor(states).transpose(0, 1).contiguous()


def snapshot(tensors: Sequence[Tensor]) -> list[npt.NDArray[np.float32]]:
    """Copies as numpy arrays."""
    return [tensor.numpy().copy() for tensor in tensors]


def restore(tensors: Sequence[Tensor], data: Sequence[npt.NDArray[np.float32]]) -> None:
    """Copy `data` into `tensors`."""
    # in place: torch's own memory is aligned to 64 bytes, and the last bits of a product may depend on the alignment
    for tensor, values in zip(tensors, data, strict=True):
        tensor.copy_(torch.from_numpy(values))


def _tensors(layers: Sequence[StackedLayer]) -> Iterator[Tensor]:
    for layer in layers:
        yield from layer.tensors
