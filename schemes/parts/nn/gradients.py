"""One optimiser step along the gradient of a loss."""

import torch
from torch import Tensor


def descend(optimiser: torch.optim.Optimizer, loss: Tensor, *, cap: float = 0.0) -> None:
    """A step for the optimiser's parameters alone. `cap`: largest norm of their gradient; 0: none."""
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    gradients = torch.autograd.grad(loss, parameters)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
    if cap:
        torch.nn.utils.clip_grad_norm_(parameters, cap)
    optimiser.step()


@torch.no_grad()
def move_target(target: torch.nn.Module, module: torch.nn.Module, tau: float) -> None:
    """theta' <- tau theta + (1 - tau) theta', in place; tau 1 copies."""
    for theirs, ours in zip(target.parameters(), module.parameters(), strict=True):
        theirs.lerp_(ours, tau)
