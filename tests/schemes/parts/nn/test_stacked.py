"""Stacked perceptrons and Adam against autograd and torch's own."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from schemes.parts.nn.adam import Adam
from schemes.parts.nn.stacked import StackedMlp, soft_update
from schemes.parts.numpy_nets import Mlp, draw_mlp

SIZES = (5, 8, 7, 3)


def stack(networks: int, sizes: tuple[int, ...] = SIZES) -> StackedMlp:
    return StackedMlp.draw([np.random.default_rng(n) for n in range(networks)], sizes)


def sequential(net: StackedMlp, network: int) -> nn.Sequential:
    linears = [nn.Linear(layer.weight.shape[1], layer.weight.shape[2]) for layer in net.layers]
    modules: list[nn.Module] = [linears[0]]
    for linear in linears[1:]:
        modules += [nn.ReLU(), linear]
    module = nn.Sequential(*modules)
    module.load_state_dict({name: torch.tensor(w) for name, w in net.weights(network).items()})
    return module


def test_first_weights_are_those_of_the_numpy_nets() -> None:
    net = stack(3)
    for n in range(3):
        drawn = draw_mlp(np.random.default_rng(n), SIZES)
        weights = net.weights(n)
        assert list(weights) == list(drawn)
        assert all((weights[name] == drawn[name]).all() for name in drawn)


@given(st.integers(1, 4), st.integers(1, 6), st.lists(st.integers(1, 9), min_size=2, max_size=4))
def test_a_pass_equals_torch_and_numpy(networks: int, batch: int, sizes: list[int]) -> None:
    net = stack(networks, tuple(sizes))
    x = torch.randn(networks, batch, sizes[0], generator=torch.Generator().manual_seed(1))
    y = net(x)
    for n in range(networks):
        torch.testing.assert_close(y[n], sequential(net, n)(x[n]).detach())
        np.testing.assert_allclose(Mlp(net.weights(n))(x[n].numpy()), y[n].numpy(), rtol=1e-4, atol=1e-5)


def test_gradients_equal_autograd() -> None:
    net, generator = stack(4), torch.Generator().manual_seed(1)
    x, upstream = torch.randn(4, 6, 5, generator=generator), torch.randn(4, 6, 3, generator=generator)
    Adam(net.tensors, 1e-3)
    hidden, _ = net.forward(x)
    first = net.backward(x, hidden, upstream)
    for n in range(4):
        module = sequential(net, n)
        (module(x[n]) * upstream[n]).sum().backward()
        for i, layer in enumerate(net.layers):
            linear = module[2 * i]
            torch.testing.assert_close(_grad(layer.weight)[n].T, _grad(linear.weight))
            torch.testing.assert_close(_grad(layer.bias)[n, 0], _grad(linear.bias))
        torch.testing.assert_close(first[n].sum(0), _grad(module[0].bias))


def _grad(tensor: Tensor | nn.Module) -> Tensor:
    assert isinstance(tensor, Tensor)
    assert tensor.grad is not None
    return tensor.grad


def test_a_soft_update_moves_the_target_by_tau() -> None:
    net, target = stack(2), stack(2)
    for tensor in target.tensors:
        tensor.zero_()
    soft_update(target.tensors, net.tensors, 0.25)
    torch.testing.assert_close(target.layers[0].weight, net.layers[0].weight * 0.25)


@pytest.mark.parametrize("steps", [0, 3])
def test_a_restored_adam_continues(steps: int) -> None:
    tensors = [torch.ones(3, 2), torch.ones(2)]
    adam = Adam(tensors, 0.1)
    for step in range(steps):
        _move(tensors, adam, step)
    copies = [tensor.clone() for tensor in tensors]
    other = Adam(copies, 0.1)
    other.restore(adam.snapshot())
    for step in range(5):
        _move(tensors, adam, step)
        _move(copies, other, step)
    assert all(torch.equal(a, b) for a, b in zip(tensors, copies, strict=True))


def _move(tensors: list[Tensor], adam: Adam, step: int) -> None:
    for tensor in tensors:
        _grad(tensor).copy_((tensor + step).sin())
    adam.step()
