"""N critics of MAAC or NAAC as one stack, with hand-written gradients: fig. 4, and its gated form.

The own action enters one layer, and linearly: Q of another own action needs no second pass of that layer, and Q of all
of them one more product of inner length 1 + G.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from schemes.parts.critic_inputs import Gates
from schemes.parts.nn.stacked import StackedLayer, StackedMlp


class Joined(NamedTuple):
    """A forward pass up to the second layer, the first of the tail.

    `own`: the own action; `factors`: what the gates multiply it by; `inputs`, `second`: the second layer's, the latter
    its output before the ReLU.
    """

    states: Tensor  # [N, B, M S]
    own: Tensor  # [N, B, A]
    factors: Tensor  # [N, B, G, A]
    inputs: Tensor  # [N, B, H + M A + G A]
    second: Tensor  # [N, B, V]


class JointCritic:
    """N critics of fig. 4: the states pass one layer, the actions join after it.

    Each critic knows M agents, itself first. `states`: the first layer, of the M states [N, B, M S]. `tail`: all layers
    after it; its inputs [N, B, H + M A + G A] are the first layer's outputs, the own action, the others' actions, and
    the own action times the inputs of the own state that `gates` [G, A] names (deviation 9 of the card).
    """

    def __init__(self, states: StackedLayer, tail: StackedMlp, *, n_actions: int, gates: Gates) -> None:
        self.states, self.tail = states, tail
        self._gates = gates
        self._index = torch.tensor(gates, dtype=torch.int64).reshape(-1, n_actions)  # [G, A]
        self._width = states.weight.shape[2]  # H
        self._own = slice(self._width, self._width + n_actions)
        self._gated = slice(tail.layers[0].weight.shape[1] - self._index.numel(), None)

    @classmethod
    def draw(
        cls,
        rngs: Sequence[np.random.Generator],
        hidden: Sequence[int],
        *,
        known: int,
        inputs: int,
        n_actions: int,
        gates: Gates,
    ) -> "JointCritic":
        """Random first weights. `known`: M; `inputs`: S; `n_actions`: A."""
        first, *rest = hidden
        states = StackedLayer.draw(rngs, known * inputs, first)
        tail = StackedMlp.draw(rngs, (first + (known + len(gates)) * n_actions, *rest, 1))
        return cls(states, tail, n_actions=n_actions, gates=gates)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        return *self.states.tensors, *self.tail.tensors

    def copy(self) -> "JointCritic":
        n_actions = self._own.stop - self._own.start
        return JointCritic(self.states.copy(), self.tail.copy(), n_actions=n_actions, gates=self._gates)

    def join(self, states: Tensor, actions: Tensor) -> Joined:
        """states [N, B, M S], actions [N, B, M A]"""
        own = actions[:, :, : self._index.shape[1]]
        # the own state is the first in `states`
        factors = states.index_select(2, self._index.flatten()).view(*states.shape[:2], *self._index.shape)
        products = (own[:, :, None] * factors).flatten(start_dim=2)
        inputs = torch.cat([torch.relu_(self.states(states)), actions, products], dim=2)
        return Joined(states, own, factors, inputs, self.tail.layers[0](inputs))

    def __call__(self, states: Tensor, actions: Tensor) -> Tensor:
        """Q [N, B, 1]"""
        return self.tail.outputs_from_first(self.join(states, actions).second)

    def backward(self, joined: Joined, hidden: Sequence[Tensor], dq: Tensor) -> None:
        """Critic loss gradient, eq. (14), into `.grad` of every weight. dq [N, B, 1] = dL/dQ."""
        at_second = self.tail.backward(joined.inputs, hidden, dq)
        from_states = self.tail.layers[0].weight[:, : self._width]
        # the gradient at the actions is not needed here, so only the columns of the states' layer are multiplied back
        at_first = torch.bmm(at_second, from_states.mT).mul_(joined.inputs[:, :, : self._width] > 0)
        self.states.backward(joined.states, at_first)

    def with_own_action(self, joined: Joined, own: Tensor) -> tuple[list[Tensor], Tensor]:
        """`hidden` and Q for another own action [N, B, A]."""
        change = own - joined.own
        changes = torch.cat([change, (change[:, :, None] * joined.factors).flatten(start_dim=2)], dim=2)
        return self.tail.forward_from_first(torch.baddbmm(joined.second, changes, self._own_rows()))

    def own_action_gradient(self, joined: Joined, hidden: Sequence[Tensor], dq: Tensor) -> Tensor:
        """dL/d(own action) [N, B, A] from `dq` = dL/dQ [N, B, 1]."""
        at_second = self.tail.output_gradients(hidden, dq)[0]
        n, b, g, a = joined.factors.shape
        at_rows = torch.bmm(at_second, self._own_rows().mT).view(n, b, 1 + g, a)
        return at_rows[:, :, 0] + (at_rows[:, :, 1:] * joined.factors).sum(dim=2)

    def of_own_actions(self, joined: Joined) -> Tensor:
        """Q of every own action, [N, B, A], all else as it was."""
        n, b, g, a = joined.factors.shape
        rows = self._own_rows()
        taken = torch.cat([joined.own, joined.inputs[:, :, self._gated]], dim=2)
        without = torch.baddbmm(joined.second, taken, rows, alpha=-1)  # [N, B, V]
        factors = torch.ones(n, a, b, 1 + g)  # of the action itself, 1, and of its products
        factors[:, :, :, 1:] = joined.factors.permute(0, 3, 1, 2)
        by_action = rows.view(n, 1 + g, a, -1).transpose(1, 2)  # [N, A, 1 + G, V]
        each = torch.bmm(factors.flatten(0, 1), by_action.flatten(0, 1)).view(n, a, b, -1)
        each += without[:, None]
        return self.tail.outputs_from_first(each.flatten(1, 2)).view(n, a, b).mT

    def _own_rows(self) -> Tensor:
        """The second layer's weights of the own action and of its products, [N, A + G A, V]."""
        weight = self.tail.layers[0].weight
        return torch.cat([weight[:, self._own], weight[:, self._gated]], dim=1)
