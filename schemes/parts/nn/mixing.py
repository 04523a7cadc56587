"""QMIX: the value of a team as a monotonic function of its agents' values. rashid2018, sec. 4 and fig. 2.

    Q_tot = |W2(s)|^T ELU(|W1(s)|^T Q + b1(s)) + V(s)

Hypernetworks give weights and biases from the joint state s. Weights are taken in magnitude: dQ_tot / dQ_i >= 0.
"""

import numpy as np
import torch
from torch import Tensor, nn

from schemes.parts.nn.modules import Net
from schemes.parts.numpy_nets import draw
from schemes.parts.numpy_nets.architecture import Linear, mlp


class QMix(nn.Module):
    """`inputs`: width of the joint state; `units`: width of the mixing layer. W1, b1 and W2 are linear in s, V has one
    hidden layer of as many units."""

    def __init__(self, inputs: int, agents: int, units: int, rng: np.random.Generator) -> None:
        super().__init__()
        self._shape = (agents, units)
        self.first_weight = _hypernetwork(inputs, (), agents * units, rng)
        self.first_bias = _hypernetwork(inputs, (), units, rng)
        self.second_weight = _hypernetwork(inputs, (), units, rng)
        self.value = _hypernetwork(inputs, (units,), 1, rng)

    def forward(self, q: Tensor, state: Tensor) -> Tensor:
        """Agents' values [B, N] and joint state [B, inputs] to Q_tot [B]."""
        first = self.first_weight(state).abs().unflatten(1, self._shape)  # [B, N, units]
        hidden = torch.nn.functional.elu((q[:, None] @ first)[:, 0] + self.first_bias(state))
        total: Tensor = (hidden * self.second_weight(state).abs()).sum(1) + self.value(state)[:, 0]
        return total


def _hypernetwork(inputs: int, hidden: tuple[int, ...], outputs: int, rng: np.random.Generator) -> Net:
    architecture = mlp(inputs, hidden, Linear(outputs))
    return Net(architecture, draw(architecture, rng))
