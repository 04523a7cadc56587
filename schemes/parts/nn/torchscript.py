"""A TorchScript module as a network that acts: `forward(x)`, or `forward(x, state)` of a module with `state_size`."""

import io
import warnings

import numpy as np
import torch

from schemes.parts.nn.determinism import make_deterministic
from schemes.parts.numpy_nets import Floats


class TorchScript:
    """`data`: what `torch.jit.save` writes. A module with an integer attribute `state_size` carries a state
    [E, state_size]: `forward(x, state)` returns outputs and the next state.

    ValueError if torch cannot load it, or if it does not take x [E, inputs] and return [E, outputs].
    """

    def __init__(self, data: bytes, inputs: int, *, name: str) -> None:
        make_deterministic()
        try:
            with warnings.catch_warnings():
                # torch recommends torch.export instead, whose programs fix the number of rows
                warnings.simplefilter("ignore", DeprecationWarning)
                self._module = torch.jit.load(io.BytesIO(data), map_location="cpu").eval()  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            raise ValueError(f"{name} is no TorchScript module: {error}") from error
        self._state_size = int(getattr(self._module, "state_size", 0))
        self.inputs = inputs
        try:
            y, _ = self.step(np.zeros((2, inputs), np.float32), self.first_state(2))
        except (RuntimeError, TypeError, ValueError, AttributeError) as error:
            reason = str(error).strip().rpartition("\n")[2]
            raise ValueError(f"{name} does not take inputs [2, {inputs}]: {reason}") from error
        if y.ndim != 2 or len(y) != 2:
            raise ValueError(f"{name} returns {list(y.shape)} for inputs [2, {inputs}]: expected [2, outputs]")
        self.outputs = y.shape[1]

    def first_state(self, replicas: int) -> Floats:
        """[E, state_size] of zeros."""
        return np.zeros((replicas, self._state_size), np.float32)

    @torch.no_grad()
    def step(self, x: Floats, state: Floats) -> tuple[Floats, Floats]:
        """x [E, inputs] and state to y [E, outputs] and the next state."""
        if self._state_size == 0:
            return self._module(torch.from_numpy(x)).numpy(), state
        y, after = self._module(torch.from_numpy(x), torch.from_numpy(state))
        return y.numpy(), after.numpy()
