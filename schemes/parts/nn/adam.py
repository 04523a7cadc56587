"""Adam over tensors with hand-written gradients."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from schemes.parts.nn import stacked

_MOMENTS = ("exp_avg", "exp_avg_sq")


class Adam:
    """torch's fused Adam (one pass over memory), betas 0.9 and 0.999. Attaches a `.grad` to each tensor."""

    def __init__(self, tensors: Sequence[Tensor], rate: float) -> None:
        self._tensors = tuple(tensors)
        for tensor in self._tensors:
            tensor.grad = torch.zeros_like(tensor)
        self._optimiser = torch.optim.Adam(self._tensors, lr=rate, fused=True)

    def step(self) -> None:
        """One step along the gradients in `.grad`."""
        self._optimiser.step()

    def snapshot(self) -> dict[str, Any]:
        """The number of steps and both moments; each update overwrites the gradients before it reads them."""
        states = [self._optimiser.state[tensor] for tensor in self._tensors if tensor in self._optimiser.state]
        moments = {name: stacked.snapshot([state[name] for state in states]) for name in _MOMENTS}
        return {"steps": int(states[0]["step"]) if states else 0, **moments}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._optimiser.state.clear()
        if not data["steps"]:
            return
        for i, tensor in enumerate(self._tensors):
            moments = {name: torch.empty_like(tensor) for name in _MOMENTS}
            stacked.restore(list(moments.values()), [data[name][i] for name in _MOMENTS])
            self._optimiser.state[tensor] = {"step": torch.tensor(float(data["steps"])), **moments}
