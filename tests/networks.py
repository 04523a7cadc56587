"""Random networks for `ours/network` that fit a world, as the text that a configuration carries."""

from typing import Any

import msgspec
import numpy as np
from safetensors.numpy import save

from channel_server.worlds.contract import World
from controller.config.catalogue import choice_model, parameters, world_named
from schemes.ours.vectors import Inputs, Outputs
from schemes.parts.embedded_file import EmbeddedFile, embed
from schemes.parts.numpy_nets import Architecture, Floats, draw
from schemes.parts.numpy_nets.architecture import Gru, Layer, Linear


def saved(architecture: Architecture, weights: dict[str, Floats], **extra: Floats) -> bytes:
    """A network's file. `extra`: tensors with `_` for the dot of their names."""
    named = weights | {name.replace("_", "."): tensor for name, tensor in extra.items()}
    return save(named, metadata={"architecture": msgspec.json.encode(architecture).decode()})


def embedded(data: bytes, name: str = "policy.safetensors") -> str:
    """A file as the parameter `network`."""
    return embed(EmbeddedFile(name, data))


def fitting(world: World, view: str, *hidden: Layer, seed: int = 1) -> bytes:
    """The file of a random network for the first agent: hidden layers, then one Linear."""
    outputs = Outputs(world.actions[0]).size
    architecture = Architecture(Inputs(world.views[view][0]).size, (*hidden, Linear(outputs)))
    return saved(architecture, draw(architecture, np.random.default_rng(seed)))


def params_for(settings: dict[str, Any]) -> dict[str, Any]:
    """Parameters of a recurrent network for the first view of the world with these settings."""
    entry = world_named(settings["name"])
    chosen: Any = msgspec.convert(parameters(choice_model(entry)(**settings)), entry.params)
    world = entry.build(chosen, seed=1, replicas=1)
    view = next(iter(world.views))
    return {"network": embedded(fitting(world, view, Gru(8))), "view": view}
