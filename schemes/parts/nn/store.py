"""Modules and optimisers to nested dicts of numpy arrays and back, so that learning continues bit for bit."""

from collections.abc import Iterable
from typing import Any, assert_never

import numpy.typing as npt
import torch
from torch import Tensor, nn

from schemes.parts.learner_settings import OptimiserName


def make_optimiser(
    name: OptimiserName, parameters: Iterable[nn.Parameter], rate: float, *, epsilon: float = 1e-8
) -> torch.optim.Optimizer:
    """Adam with betas 0.9 and 0.999, or RMSprop with alpha 0.99. `epsilon`: added to the divisor."""
    match name:
        case "adam":
            return torch.optim.Adam(parameters, lr=rate, eps=epsilon, fused=True)
        case "rmsprop":
            return torch.optim.RMSprop(parameters, lr=rate, eps=epsilon)
        case _:
            assert_never(name)


def snapshot_module(module: nn.Module) -> dict[str, npt.NDArray[Any]]:
    """Copies of all parameters and buffers by name."""
    return {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}


@torch.no_grad()
def restore_module(module: nn.Module, data: dict[str, npt.NDArray[Any]]) -> None:
    """The inverse of `snapshot_module`, in place. ValueError if the names differ."""
    tensors = module.state_dict()
    if tensors.keys() != data.keys():
        raise ValueError(f"saved arrays do not fit the module: {sorted(tensors.keys() ^ data.keys())} differ")
    # in place: torch's own memory is aligned to 64 bytes, and the last bits of a product may depend on the alignment
    for name, tensor in tensors.items():
        tensor.copy_(torch.from_numpy(data[name]))


def snapshot_optimiser(optimiser: torch.optim.Optimizer) -> list[dict[str, npt.NDArray[Any]]]:
    """Copies of each parameter's state, in the order of the parameters; {} for one that was never stepped."""
    return [
        {name: value.numpy().copy() for name, value in optimiser.state.get(parameter, {}).items()}
        for parameter in _parameters(optimiser)
    ]


def restore_optimiser(optimiser: torch.optim.Optimizer, data: list[dict[str, npt.NDArray[Any]]]) -> None:
    """The inverse of `snapshot_optimiser`, for an optimiser of the same parameters."""
    optimiser.state.clear()
    for parameter, saved in zip(_parameters(optimiser), data, strict=True):
        if saved:
            optimiser.state[parameter] = {name: torch.tensor(array) for name, array in saved.items()}


def _parameters(optimiser: torch.optim.Optimizer) -> list[Tensor]:
    return [parameter for group in optimiser.param_groups for parameter in group["params"]]
