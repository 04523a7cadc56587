"""The contract of a world: the physics and traffic of a scenario, as functions over a frozen state.

State is a frozen dataclass of arrays; their leading axis E counts replicas, independent copies of the scenario that
are stepped together. Functions return a new state. Random draws are keyed by the slot and never depend on
actions, so that all schemes of a study meet the same channels.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import filter as filter_names
from importlib import import_module
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from protocol import plugins
from protocol.messages.drawing import Drawing
from protocol.messages.episodes import Ends, Mask
from protocol.messages.kinds import CloudLink, Kind, LinkClass
from protocol.messages.node import Note
from protocol.messages.spaces import Records, Space

REWARD_METRIC = "reward_total"  # the sum of the agents' rewards per slot: what runs are compared by


class Metric(NamedTuple):
    """A quantity whose mean over any set of slots is the sum of `SlotOutcome.sums` over that of `counts`."""

    name: str
    unit: str
    doc: str


class Distribution(NamedTuple):
    """A quantity of which a run keeps how often each value occurred, phase by phase. Its values are whole numbers from
    0 on, times `step` in `unit`: a packet's delay, counted in slots."""

    name: str
    unit: str
    step: float
    doc: str


class SlotOutcome(NamedTuple):
    """The result of a slot's transmission.

    `rewards` [n_agents, E]; `sums`, `counts` [n_metrics]: numerators and denominators over all replicas, in the order
    of `World.metrics`. `ended` [E]: how the episodes ended that end with this slot, 0 for those that go on; None if
    all go on. `occurrences`: of each of the world's distributions, how often each value occurred, [values].
    """

    rewards: npt.NDArray[np.float64]
    sums: npt.NDArray[np.float64]
    counts: npt.NDArray[np.float64]
    ended: Ends | None = None
    occurrences: tuple[npt.NDArray[np.int64], ...] = ()


class InfrastructureNote(NamedTuple):
    """A note sent by the infrastructure; `source` indexes `World.infrastructure`.

    It crosses the same links as a note of the BS/cloud, unless it names another class. Its `payload_bits` are those of
    one replica.
    """

    source: int
    note: Note


@dataclass(frozen=True)
class InfrastructureReport:
    """What a report of the infrastructure is, as the world declares it.

    `source`: its sender's name, or a pattern such as `cue-*`. `to`: its receivers, in words. `space`: a note's body is
    a record of it per replica. `payload_bits`: what the air is charged for a note, of one replica; None for all of the
    body.
    """

    source: str
    to: str
    kind: Kind
    link: LinkClass
    space: Space
    doc: str
    payload_bits: int | None = None

    @property
    def bits(self) -> int:
        """What the air is charged for a note, of one replica."""
        return 8 * self.space.dtype.itemsize if self.payload_bits is None else self.payload_bits

    def sources(self, infrastructure: Sequence[str]) -> list[str]:
        """The members of the infrastructure that send this report."""
        return filter_names(infrastructure, self.source)


class World(Protocol):
    """A scenario. Built as `module.WORLD.build(params, seed=..., replicas=...)`.

    One slot:  begin -> measure, report, probe (advance nothing) -> transmit -> report (feedback) -> begin ...

    A world whose draws take long may also offer `prefetch(slot)`: called while the nodes compute, it draws
    ahead what `begin` will need there, and changes no result. A world that models the radio of signalling links also
    implements `Radio`, one that can be drawn `Renderable`, one that keeps distributions `Distributed`, one with
    information for bounds `Privileged`.
    """

    agents: Sequence[str]  # names, by node index
    infrastructure: Sequence[str]  # names of other senders of notes: the BS, cellular users
    views: Mapping[str, Sequence[Space]]  # measurement spaces, by view and node
    actions: Sequence[Space]  # action spaces, by node
    reports: Mapping[str, InfrastructureReport]  # what the infrastructure may send, by name
    metrics: Sequence[Metric]
    agent_link: LinkClass  # the class of links between agents
    cloud_link: CloudLink  # what lies between agents and the BS/cloud: backhaul where agents are BSs

    def reset(self) -> Any:
        """The state before the first slot of a run."""
        ...

    def begin(self, state: Any, slot: int, restart: Mask | None = None) -> Any:
        """Open a slot: new fading, new arrivals. `restart` [E]: the replicas in which a new episode begins,
        None for none.

        What receivers measured in the last slot stays readable there, so that no episode loses its last reward.
        """
        ...

    def measure(self, state: Any, view: str, nodes: Sequence[int] | None = None) -> Sequence[Records]:
        """The measurements of these agents, or of all, each at its own receiver: records [E] in the order of `nodes`.
        KeyError for an unknown view.

        Agents that probe one by one are measured one by one, since each probe changes what the next one measures.
        """
        ...

    def neighbours(self, state: Any) -> Sequence[tuple[int, ...]]:
        """By agent, the sorted node indices that its broadcast reaches."""
        ...

    def report(self, state: Any, name: str) -> list[InfrastructureNote]:
        """The notes that the infrastructure sends in the report of this name. KeyError for an unknown one."""
        ...

    def probe(self, state: Any, actions: Sequence[Records]) -> Any:
        """The state with what the receivers would measure in a short trial of these actions; no time passes."""
        ...

    def transmit(self, state: Any, actions: Sequence[Records]) -> tuple[Any, SlotOutcome]:
        """All nodes transmit: the state with updated queues, and rewards and metrics from the SINRs."""
        ...

    def static_info(self, node: int) -> dict[str, Any]:
        """Static information for an agent, or for the BS/cloud if node == len(agents). MessagePack types only."""
        ...

    def silent(self, node: int) -> Records:
        """The action of a node that does not transmit, [E]; a node's action until it has chosen one."""
        ...

    def random(self, node: int, rng: np.random.Generator) -> Records:
        """A uniformly drawn action that transmits (the `random` fallback), [E]."""
        ...

    def resample_unobserved(self, state: Any, view: str, node: int, rng: np.random.Generator) -> Any:
        """The state with everything redrawn that `node` cannot measure in `view` (for the locality test)."""
        ...

    def snapshot(self, state: Any) -> dict[str, Any]:
        """The state as nested dicts of arrays."""
        ...

    def restore(self, data: dict[str, Any]) -> Any:
        """The inverse of `snapshot`."""
        ...


class Radio(Protocol):
    """The additional interface of a world whose signalling links can have a budget that follows their channel: the
    setting `bits_per_slot: radio` with a `share` of the band.

    A link of class `link` carries `share * signalling_band_hz * slot_s * signalling_bps_hz(...)` bits in a slot.
    """

    signalling_band_hz: float
    slot_s: float

    def signalling_bps_hz(self, state: Any, source: int, receivers: tuple[int, ...], link: LinkClass) -> float:
        """Spectral efficiency in bit/s/Hz in this slot, mean over replicas; of several receivers the smallest.

        Nodes and infrastructure by index in `Welcome.names`. ValueError for a link class that is not radio.
        """
        ...


class Distributed(Protocol):
    """The additional interface of a world that keeps distributions, in the order of `SlotOutcome.occurrences`."""

    distributions: Sequence[Distribution]


class Renderable(Protocol):
    """The additional interface of a world that can be drawn as a map."""

    def render(self, state: Any) -> Drawing:
        """Places and the result of the last transmission in replica 0, of finite numbers. Called a few times a second,
        for people only."""
        ...


@runtime_checkable
class Privileged(Protocol):
    """The additional interface of a world that has privileged information for schemes that ask for it: bounds."""

    def privileged_info(self) -> dict[str, Any]:
        """What is fixed for the run and no node could know, such as the mean gains of all links; it is added to every
        node's static information. MessagePack types only."""
        ...


class Build(Protocol):
    """Builds a world; see WorldEntry."""

    def __call__(self, params: Any, *, seed: int, replicas: int) -> World: ...


@dataclass(frozen=True)
class WorldEntry:
    """A world's entry in the catalogue, which finds it as `WORLD = WorldEntry(...)` in a module or package of worlds.

    `name`: the module's name. `summary`: one line. `source`: paper and equations. `params`: a frozen dataclass.
    `build` raises ValueError with key, value and a suggested fix for parameters that are impossible together. It only
    describes the world: the arrays of its state and of its links are made from `reset` on, in the run's process.
    `memory_bytes(params, replicas)`: at most how much memory the world takes in its first slots, from the parameters
    alone; not more than some times of what it does take. ValueError as of `build`.
    """

    name: str
    summary: str
    source: str
    params: type
    build: Build
    memory_bytes: Callable[[Any, int], int]


def load(name: str) -> WorldEntry:
    """The world of this name: of this package, or of another one that is installed.

    ValueError for a malformed name, and for one that no package has.
    """
    if not name.isidentifier():
        raise ValueError(f"{name!r} is not a world's name; expected an identifier, such as d2d_underlay")
    if find_spec(f"channel_server.worlds.{name}") is not None:
        entry: WorldEntry = import_module(f"channel_server.worlds.{name}").WORLD
        return entry
    other = plugins.load("airtoll.worlds", name)
    if not isinstance(other, WorldEntry) or other.name != name:
        raise ValueError(f"the entry point {name!r} must be a WorldEntry of this name")
    return other
