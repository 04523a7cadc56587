"""The weights that a run starts from: those of another run, by its id or folder, or of a safetensors file.

They are part of the configuration of the nodes, like the sizes of their networks: nothing crosses the air, and the toll
does not contain them. Of a run each agent's newest weights count, sent by its trainer or learnt by the agent itself; a
trainer that decides for all agents has one network for all.
With other numbers of agents, agent i starts from the weights of agent i mod n of the n that there are.

A safetensors file has one network, from which all agents start, or the networks of several: the tensors of agent 0 are
named `0/0.weight`, `0/0.bias` ... A run keeps what it started from in such a file, in its folder.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import save

from controller.config.errors import ConfigError, invalid
from controller.config.layers import names_a_path
from controller.run_folder.layout import META
from controller.run_folder.weights import WeightsFolder
from schemes.parts.weights import body_of, read_weights, write_weights

KEY = "start.weights"
MAX_BYTES = 48 * 2**20  # of all agents together: the trainer gets them in one frame
_AGENT = "/"  # between the number of an agent and the name of its tensor

Network = Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True)
class StartWeights:
    """Networks by agent of the source; one alone is for all agents. `source`: as it was given."""

    source: str
    networks: tuple[Network, ...]

    @property
    def file(self) -> bytes:
        """All networks as the content of one safetensors file; equal bytes for equal networks."""
        named = {f"{i}{_AGENT}{name}": one[name] for i, one in enumerate(self.networks) for name in sorted(one)}
        return save(dict(sorted(named.items())))

    @property
    def digest(self) -> str:
        """Equal for equal networks."""
        return blake2b(self.file, digest_size=16).hexdigest()

    def bodies(self, agents: int) -> tuple[bytes, ...]:
        """Per agent the body of a weights note. ConfigError for more than one frame can carry."""
        of_source = [write_weights(network, 0, "float32") for network in self.networks]
        bodies = tuple(of_source[agent % len(of_source)] for agent in range(agents))
        if (size := sum(map(len, bodies))) > MAX_BYTES:
            fix = f"the networks of {agents} agents have {size} bytes together, at most {MAX_BYTES} can be sent"
            raise ConfigError(invalid(KEY, self.source, fix))
        return bodies


def read_start_weights(given: str, *, out: Path) -> StartWeights:
    """The weights of a file, a run's folder, or the run of this id under `out`. ConfigError."""
    path = Path(given) if names_a_path(given) else out / given
    if not path.exists():
        raise ConfigError(invalid(KEY, given, f"no such file or folder, and no run of this id in {out}"))
    try:
        networks = _of_run(path) if path.is_dir() else _of_file(path.read_bytes())
    except OSError as error:
        raise ConfigError(invalid(KEY, given, f"cannot be read: {error.strerror}")) from error
    except (ValueError, SafetensorError) as error:
        raise ConfigError(invalid(KEY, given, str(error))) from error
    return StartWeights(given, networks)


def _of_run(folder: Path) -> tuple[Network, ...]:
    kept = WeightsFolder(folder)
    nodes = kept.nodes
    if not nodes:
        raise ValueError(
            "no weights are stored in this folder: give that of a run of a scheme that learns, after weights were sent "
            "or a phase of training ended"
        )
    if nodes == [_trainer(folder)]:  # it decides for all agents, by one network
        return (read_weights(kept.newest_body(nodes[0]))[1],)
    if nodes != list(range(len(nodes))):
        raise ValueError(f"weights of agents {nodes} alone are stored; give a safetensors file, or another run")
    return tuple(read_weights(kept.newest_body(node))[1] for node in nodes)


def _trainer(folder: Path) -> int:
    """The index of the run's trainer; -1 for a folder without a description."""
    path = folder / META
    return int(json.loads(path.read_bytes())["agents"]) if path.exists() else -1


def _of_file(data: bytes) -> tuple[Network, ...]:
    _, tensors = read_weights(body_of(data))  # also int8, with its scales
    if not tensors:
        raise ValueError("the file has no tensors")
    if not any(_AGENT in name for name in tensors):
        return (tensors,)
    by_agent: dict[int, dict[str, npt.NDArray[np.float32]]] = {}
    for name, tensor in tensors.items():
        agent, _, own = name.partition(_AGENT)
        if not agent.isdecimal():
            raise ValueError(f"the tensor {name!r} belongs to no agent: name it 0/{name} for the first one")
        by_agent.setdefault(int(agent), {})[own] = tensor
    if sorted(by_agent) != list(range(len(by_agent))):
        raise ValueError(f"it has networks of agents {sorted(by_agent)}: number them from 0 without a gap")
    return tuple(by_agent[agent] for agent in sorted(by_agent))
