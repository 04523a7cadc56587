"""Conflict graphs: the devices that each agent serves, and the devices that each device makes fail when active.

A graph's file is YAML, one line per agent and per device:

    agents:               # the devices of each agent
      ap1: [1, 2]
      ap2: [3]
    conflicts:            # a device when active: the devices that it spoils
      1: [2, 3]
      3: [1]
"""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt
import yaml

from protocol.messages.kinds import TRAINER_NAME

_SUFFIXES = (".yaml", ".yml")
_KEYS = ("agents", "conflicts")
# PyYAML's constructors check little: `!!bool abc` is a KeyError, a date as month 13 a ValueError, [a]: b a TypeError
_CONSTRUCTOR_ERRORS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
_MAX_OWN = 127  # local indices are 8-bit integers in actions
_MAX_ID = 65_535  # ids are 16-bit integers in notes


@dataclass(frozen=True)
class Graph:
    """A directed conflict graph over devices, which are ordered agent by agent.

    `agents`: names. `serves`: device ids of each agent. `conflicts`: pairs of ids (i, n): i active makes n fail.
    """

    agents: tuple[str, ...]
    serves: tuple[tuple[int, ...], ...]
    conflicts: frozenset[tuple[int, int]]

    @cached_property
    def devices(self) -> tuple[int, ...]:
        """All device ids, agent by agent."""
        return tuple(device for own in self.serves for device in own)

    @cached_property
    def spoils(self) -> npt.NDArray[np.bool_]:
        """[N, N] by position: [i, n] is True where i active makes n fail."""
        ids = self.devices
        return np.array([[(i, n) in self.conflicts for n in ids] for i in ids], bool)

    @cached_property
    def own(self) -> tuple[slice, ...]:
        """Each agent's devices, as a slice of positions."""
        ends = np.cumsum([len(own) for own in self.serves]).tolist()
        return tuple(slice(end - len(own), end) for end, own in zip(ends, self.serves, strict=True))

    @cached_property
    def neighbours(self) -> tuple[tuple[int, ...], ...]:
        """By agent, the sorted indices of agents with a device in conflict with one of its own, in either direction."""
        rivals = self.spoils | self.spoils.T
        return tuple(
            tuple(j for j, other in enumerate(self.own) if j != k and rivals[mine, other].any())
            for k, mine in enumerate(self.own)
        )


def load(graph: str) -> Graph:
    """The graph built in by the name 'fig2', or read from a YAML file.

    ValueError names the file, the key, the value and a suggested fix.
    """
    if graph == "fig2":
        return FIG2
    if not graph.endswith(_SUFFIXES):  # a controller rejects the names of such files, and thereby of all its files
        raise ValueError(f"graph {graph!r}: give 'fig2', or the path of a YAML file that ends in .yaml or .yml")
    return parse(_read(graph), graph)


def parse(data: Any, source: str) -> Graph:
    """A checked graph from a file's content; `source` names it in errors (ValueError)."""
    if not isinstance(data, dict) or sorted(data, key=str) != list(_KEYS):
        _reject(source, "", data, "write the two keys 'agents' and 'conflicts', and no other")
    serves = _agents(data["agents"], source)
    owner = _owners(serves, source)
    return Graph(tuple(serves), tuple(serves.values()), frozenset(_conflicts(data["conflicts"], owner, source)))


class _UniqueKeyLoader(yaml.SafeLoader):
    """YAML that rejects duplicate keys; the plain loader silently keeps the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set[Any]()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.YAMLError(f"key {key!r} is written twice; merge the two")
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _read(path: str) -> Any:
    try:
        return yaml.load(Path(path).read_text("utf-8"), _UniqueKeyLoader)
    except (OSError, RecursionError, yaml.YAMLError, *_CONSTRUCTOR_ERRORS) as error:
        suggestion = "give 'fig2', or a readable YAML file with the keys 'agents' and 'conflicts'"
        raise ValueError(f"graph {path!r} cannot be read: {error}; {suggestion}") from None


def _agents(data: Any, source: str) -> dict[str, tuple[int, ...]]:
    if not isinstance(data, dict) or not data:
        _reject(source, "agents", data, "write one line per agent, such as 'ap1: [1, 2]'")
    for name in data:
        if not isinstance(name, str) or not name.replace("-", "_").isidentifier() or name == TRAINER_NAME:
            _reject(source, "agents", name, "name an agent by letters, digits and '-', such as 'ap1'")
    return {name: _own(own, f"agents.{name}", source) for name, own in data.items()}


def _own(data: Any, key: str, source: str) -> tuple[int, ...]:
    """The devices of one agent."""
    own = _ids(data, key, source)
    if not 0 < len(own) <= _MAX_OWN:
        _reject(source, key, data, f"an agent serves 1 to {_MAX_OWN} devices: move some, or leave the agent out")
    return own


def _ids(data: Any, key: str, source: str) -> tuple[int, ...]:
    """A list of device ids."""
    if not isinstance(data, list):
        _reject(source, key, data, "write a list of devices, such as [1, 2]")
    return tuple(_id(device, key, source) for device in data)


def _id(device: Any, key: str, source: str) -> int:
    if isinstance(device, bool) or not isinstance(device, int) or not 0 < device <= _MAX_ID:
        _reject(source, key, device, f"name a device by a whole number from 1 to {_MAX_ID}")
    return int(device)


def _owners(serves: dict[str, tuple[int, ...]], source: str) -> dict[int, str]:
    """The agent that serves each device."""
    owner: dict[int, str] = {}
    for name, own in serves.items():
        for device in own:
            if device in owner:
                suggestion = f"it is served by {owner[device]!r} already: keep one of the two"
                _reject(source, f"agents.{name}", device, suggestion)
            owner[device] = name
    return owner


def _conflicts(data: Any, owner: dict[int, str], source: str) -> Iterator[tuple[int, int]]:
    """The pairs (i, n): i active makes n fail."""
    if not isinstance(data, dict):
        _reject(source, "conflicts", data, "write one line per device, such as '1: [2, 3]', or {} for none")
    for i, spoiled in data.items():
        key = f"conflicts.{i}"
        _served(i, owner, "conflicts", source)
        for n in _ids(spoiled, key, source):
            if n == i:
                _reject(source, key, n, "a device cannot conflict with itself: remove it")
            yield i, _served(n, owner, key, source)


def _served(device: Any, owner: dict[int, str], key: str, source: str) -> int:
    if _id(device, key, source) not in owner:
        known = ", ".join(map(str, sorted(owner)))
        _reject(source, key, device, f"no agent serves this device: add it to an agent; known: {known}")
    return int(device)


def _reject(source: str, key: str, value: Any, suggestion: str) -> NoReturn:
    where = f"{key} = {value!r}" if key else repr(value)
    raise ValueError(f"graph {source!r}: {where}: {suggestion}")


# zhang2025 fig. 2: four agents in a symmetric deployment
FIG2 = parse(
    {
        "agents": {"ap1": [1, 2], "ap2": [3, 4], "ap3": [5, 6], "ap4": [7, 8]},
        "conflicts": {
            1: [2, 3, 8],
            2: [1, 3, 8],
            3: [2, 4, 5],
            4: [2, 3, 5],
            5: [4, 6, 7],
            6: [4, 5, 7],
            7: [1, 6, 8],
            8: [1, 6, 7],
        },
    },
    "fig2",
)
