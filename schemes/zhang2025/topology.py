"""A node's knowledge of the conflict graph, parsed from the static information in its Welcome."""

from functools import cached_property

import numpy as np
import numpy.typing as npt
from msgspec import Struct

from protocol.messages.node import Welcome
from schemes.parts.facts import static_facts

Ids = tuple[int, ...]


class Neighbour(Struct, frozen=True):
    """An agent whose devices conflict with the own ones; `agent` is its node index."""

    agent: int
    devices: Ids


class LocalTopology(Struct, frozen=True, dict=True):
    """An agent's view. `spoils[i]`, `spoiled_by[i]`: ids in conflict with its i-th device, out of it and into it."""

    subbands: int
    n_devices: int
    devices: Ids
    spoils: tuple[Ids, ...]
    spoiled_by: tuple[Ids, ...]
    neighbours: tuple[Neighbour, ...]

    @cached_property
    def around(self) -> Ids:
        """The own devices, then the neighbours', in the order of their notes."""
        return self.devices + tuple(device for other in self.neighbours for device in other.devices)

    @cached_property
    def rivals(self) -> npt.NDArray[np.bool_]:
        """[n_own, n_around]: True where a device conflicts with an own one, in either direction."""
        conflicts = [{*out, *into} for out, into in zip(self.spoils, self.spoiled_by, strict=True)]
        return np.array([[device in mine for device in self.around] for mine in conflicts], bool)

    @cached_property
    def columns(self) -> dict[int, slice]:
        """The position of each neighbour's devices in `around`, by node index."""
        ends = len(self.devices) + np.cumsum([len(other.devices) for other in self.neighbours])
        pairs = zip(self.neighbours, ends.tolist(), strict=True)
        return {other.agent: slice(end - len(other.devices), end) for other, end in pairs}


class WholeTopology(Struct, frozen=True, dict=True):
    """The BS/cloud's view. `agents`: device ids of each; `conflicts`: pairs (i, n), i active makes n fail."""

    subbands: int
    agents: tuple[Ids, ...]
    conflicts: tuple[tuple[int, int], ...]

    @cached_property
    def owner(self) -> npt.NDArray[np.int64]:
        """The serving agent of each device, [N], devices agent by agent."""
        return np.repeat(np.arange(len(self.agents)), [len(own) for own in self.agents])

    @cached_property
    def spoils(self) -> npt.NDArray[np.bool_]:
        """[N, N]: [i, n] is True where i active makes n fail."""
        ids, conflicts = [device for own in self.agents for device in own], set(self.conflicts)
        return np.array([[(i, n) in conflicts for n in ids] for i in ids], bool)

    def around(self, agent: int) -> LocalTopology:
        """What the agent knows."""
        own = self.agents[agent]
        spoils = tuple(tuple(sorted(n for i, n in self.conflicts if i == device)) for device in own)
        spoiled_by = tuple(tuple(sorted(i for i, n in self.conflicts if n == device)) for device in own)
        rivals = {device for row in (*spoils, *spoiled_by) for device in row}
        others = [Neighbour(k, devices) for k, devices in enumerate(self.agents) if k != agent and rivals & {*devices}]
        return LocalTopology(self.subbands, sum(map(len, self.agents)), own, spoils, spoiled_by, tuple(others))


def local_topology(welcome: Welcome) -> LocalTopology:
    """An agent's topology. ValueError where the world has no conflict graph."""
    return static_facts(welcome, LocalTopology, world="conflict_graph")


def whole_topology(welcome: Welcome) -> WholeTopology:
    """The trainer's topology. ValueError where the world has no conflict graph."""
    return static_facts(welcome, WholeTopology, world="conflict_graph")
