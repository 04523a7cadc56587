"""A policy network from a file: safetensors with its architecture, run in numpy, or TorchScript, run in torch."""

from typing import Protocol

import msgspec
import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from schemes.parts.embedded_file import SUFFIXES, EmbeddedFile
from schemes.parts.numpy_nets import Architecture, Floats, Network
from schemes.parts.numpy_nets.architecture import GaussianHead

_MEAN, _STD = "inputs.mean", "inputs.std"
_FIX = "save it with metadata={'architecture': ...}, as docs/your-own-policy.md shows"


class ActingNetwork(Protocol):
    """`inputs`: the width of x. A network without carried state has a state of width 0."""

    inputs: int
    outputs: int

    def first_state(self, replicas: int, /) -> Floats:
        """[E, width]: how an episode begins."""
        ...

    def step(self, x: Floats, state: Floats, /) -> tuple[Floats, Floats]:
        """x [E, inputs] and state to y [E, outputs] and the next state."""
        ...


def read(file: EmbeddedFile, inputs: int) -> ActingNetwork:
    """The network in a file. `inputs`: the width that it will be given. ValueError if it cannot be read or run."""
    if file.name.endswith(".safetensors"):
        return NumpyPolicy(file)
    if not file.name.endswith(".pt"):
        raise ValueError(f"{file.name!r} is no network's file: its name must end in {' or '.join(SUFFIXES)}")
    from schemes.parts.nn.torchscript import TorchScript

    return TorchScript(file.data, inputs, name=file.name)


class NumpyPolicy:
    """A `Network`, whose inputs may be standardised by the tensors `inputs.mean` and `inputs.std` of the file. Of a
    Gaussian head the means act."""

    def __init__(self, file: EmbeddedFile) -> None:
        architecture, tensors = _architecture(file), _tensors(file)
        self.inputs = architecture.inputs
        self._mean = tensors.pop(_MEAN, np.zeros(self.inputs, np.float32))
        self._std = tensors.pop(_STD, np.ones(self.inputs, np.float32))
        if not (self._mean.shape == self._std.shape == (self.inputs,) and self._std.all()):
            raise ValueError(f"{file.name}: {_MEAN} and {_STD} must be [{self.inputs}], the latter without zeros")
        try:
            self._network = Network(architecture, tensors)
        except ValueError as error:
            raise ValueError(f"{file.name}: {error}") from error
        last = architecture.layers[-1] if architecture.layers else None
        self.outputs = last.size if isinstance(last, GaussianHead) else architecture.outputs

    def first_state(self, replicas: int) -> Floats:
        return self._network.first_state(replicas)

    def step(self, x: Floats, state: Floats) -> tuple[Floats, Floats]:
        y, after = self._network.step((x - self._mean) / self._std, state)
        return y[:, : self.outputs], after


def _architecture(file: EmbeddedFile) -> Architecture:
    """Of the metadata in the header: its length in 8 bytes, then JSON."""
    try:
        header = msgspec.json.decode(file.data[8 : 8 + int.from_bytes(file.data[:8], "little")])
        text = header["__metadata__"]["architecture"]
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file.name} is no safetensors file: {error}") from error
    except (KeyError, TypeError) as error:
        raise ValueError(f"{file.name} does not describe its architecture: {_FIX}") from error
    try:
        return msgspec.json.decode(text, type=Architecture)
    except (msgspec.MsgspecError, TypeError) as error:
        raise ValueError(f"{file.name}: the architecture cannot be read: {error}; {_FIX}") from error


def _tensors(file: EmbeddedFile) -> dict[str, Floats]:
    try:
        tensors = {name: tensor.astype(np.float32) for name, tensor in load(file.data).items()}
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{file.name} is no safetensors file: {error}") from error
    if not all(np.isfinite(tensor).all() for tensor in tensors.values()):
        raise ValueError(f"{file.name}: a weight is not finite")
    return tensors
