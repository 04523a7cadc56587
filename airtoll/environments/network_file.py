"""A torch network as a file that nodes run: safetensors with the architecture beside the weights.

    save("policy.safetensors", [*policy.mlp_extractor.policy_net, policy.action_net], scale)
    airtoll run ... --set scheme.name=ours/network --set scheme.network=policy.safetensors

The nodes compute it in numpy; `schemes.parts.numpy_nets` has the layers that there are.
"""

from collections.abc import Iterable
from pathlib import Path

import msgspec
import torch
from safetensors.numpy import save_file

from airtoll.environments.scaling import Scale
from schemes.parts.numpy_nets import Architecture, Floats
from schemes.parts.numpy_nets.architecture import Activation, ActivationName, Layer, Linear

_ACTIVATIONS: dict[type[torch.nn.Module], ActivationName] = {
    torch.nn.ReLU: "relu",
    torch.nn.Tanh: "tanh",
    torch.nn.ELU: "elu",
    torch.nn.LeakyReLU: "leaky_relu",
}


def save(path: str | Path, layers: Iterable[torch.nn.Module], scale: Scale | None = None) -> None:
    """Write layers that follow each other, Linear and activations. `scale`: of the inputs, if they were scaled.

    ValueError for another kind of layer.
    """
    kept = [layer for layer in layers if not isinstance(layer, torch.nn.Identity | torch.nn.Dropout)]
    linear = [layer for layer in kept if isinstance(layer, torch.nn.Linear)]
    if not linear:
        raise ValueError("a network needs a Linear layer")
    architecture = Architecture(linear[0].in_features, tuple(map(_layer, kept)))
    tensors: dict[str, Floats] = {
        f"{index}.{name}": tensor.detach().cpu().numpy()
        for index, layer in enumerate(kept)
        for name, tensor in layer.state_dict().items()
    }
    if scale is not None:
        tensors |= {"inputs.mean": scale.mean, "inputs.std": scale.std}
    save_file(tensors, path, {"architecture": msgspec.json.encode(architecture).decode()})


def _layer(layer: torch.nn.Module) -> Layer:
    if isinstance(layer, torch.nn.Linear):
        return Linear(layer.out_features)
    if type(layer) not in _ACTIVATIONS:
        known = ", ".join(["Linear", *(kind.__name__ for kind in _ACTIVATIONS)])
        raise ValueError(f"a layer {type(layer).__name__} cannot be written: use {known}")
    return Activation(_ACTIVATIONS[type(layer)])
