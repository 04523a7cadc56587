"""N critics of MAAC or NAAC as one stack, with hand-written gradients: fig. 4, and its gated form.

The own action enters one layer, and linearly: Q of another own action needs no second pass of that layer, and Q of all
of them one more product of inner length 1 + G.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from schemes.parts.critic_inputs import Gates
from schemes.parts.nn.stacked import StackedLayer, StackedMlp


class JointCritic:
    """N critics of fig. 4: the states pass one layer, the actions join after it.

    Each critic knows M agents, itself first. `states`: the first layer, of the M states [N, B, M S]. `tail`: all layers
    after it; its inputs [N, B, H + M A + G A] are the first layer's outputs, the own action, the others' actions, and
    the own action times the inputs of the own state that `gates` [G, A] names (deviation 9).
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

    def join(self, states: Tensor, actions: Tensor) -> tuple[Tensor, Tensor]:
        """The tail's inputs, and its first layer's output. states [N, B, M S], actions [N, B, M A]"""
        own = actions[:, :, : self._index.shape[1]]
        joined = torch.cat([torch.relu_(self.states(states)), actions, self._products(states, own)], dim=2)
        return joined, self.tail.layers[0](joined)

    def __call__(self, states: Tensor, actions: Tensor) -> Tensor:
        """Q [N, B, 1]"""
        return self.tail.outputs_from_first(self.join(states, actions)[1])

    def backward(self, states: Tensor, joined: Tensor, hidden: Sequence[Tensor], dq: Tensor) -> None:
        """Critic loss gradient, eq. (14), into `.grad` of every weight. states [N, B, M S], dq [N, B, 1] = dL/dQ."""
        at_second = self.tail.backward(joined, hidden, dq)
        from_states = self.tail.layers[0].weight[:, : self._width]
        # the gradient at the actions is not needed here, so only the columns of the states' layer are multiplied back
        at_first = torch.bmm(at_second, from_states.mT).mul_(joined[:, :, : self._width] > 0)
        self.states.backward(states, at_first)

    def with_own_action(self, states: Tensor, second: Tensor, change: Tensor) -> tuple[list[Tensor], Tensor]:
        """`hidden` and Q for an own action that differs by `change` [N, B, A] from the one that gave `second`."""
        return self.tail.forward_from_first(self._changed(states, second, change))

    def own_action_gradient(self, states: Tensor, hidden: Sequence[Tensor], dq: Tensor) -> Tensor:
        """dL/d(own action) [N, B, A] from `dq` = dL/dQ [N, B, 1]."""
        at_second = self.tail.output_gradients(hidden, dq)[0]
        at_rows = torch.bmm(at_second, self._own_rows().mT).unflatten(2, (-1, self._index.shape[1]))  # [N, B, 1 + G, A]
        return at_rows[:, :, 0] + (at_rows[:, :, 1:] * self._factors(states)).sum(dim=2)

    def of_own_actions(self, states: Tensor, second: Tensor, own: Tensor) -> Tensor:
        """Q of every own action [N, B, A], all else as in the pass that gave `second` with `own` [N, B, A]."""
        n, b, a = own.shape
        without = self._changed(states, second, -own)  # [N, B, V]
        factors = self._factors(states).permute(0, 3, 1, 2)  # [N, A, B, G]
        factors = torch.cat([torch.ones(n, a, b, 1), factors], dim=3)
        rows = self._own_rows().unflatten(1, (-1, a)).transpose(1, 2)  # [N, A, 1 + G, V]
        each = torch.bmm(factors.flatten(0, 1), rows.flatten(0, 1)).unflatten(0, (n, a))  # [N, A, B, V]
        each += without[:, None]
        return self.tail.outputs_from_first(each.flatten(1, 2)).view(n, a, b).mT

    def _changed(self, states: Tensor, second: Tensor, change: Tensor) -> Tensor:
        """`second` for an own action that differs by `change`."""
        changes = torch.cat([change, self._products(states, change)], dim=2)
        return torch.baddbmm(second, changes, self._own_rows())

    def _products(self, states: Tensor, own: Tensor) -> Tensor:
        """The own action times the gates' inputs, [N, B, G A]."""
        return (own[:, :, None] * self._factors(states)).flatten(start_dim=2)

    def _factors(self, states: Tensor) -> Tensor:
        """The gates' inputs, [N, B, G, A]. The own state is the first in `states` [N, B, M S]."""
        return states[:, :, self._index]

    def _own_rows(self) -> Tensor:
        """The second layer's weights of the own action and of its products, [N, A + G A, V]."""
        weight = self.tail.layers[0].weight
        return torch.cat([weight[:, self._own], weight[:, self._gated]], dim=1)
