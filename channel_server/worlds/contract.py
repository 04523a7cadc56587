"""What a world is: the physics and traffic of a scenario, as functions over a frozen state.

State is a frozen dataclass of arrays with leading replica axis E. Functions return a new state and draw only from
positions (episode, slot), never depending on actions, so that all schemes of a study meet the same channels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from protocol.messages.kinds import LinkClass
from protocol.messages.node import Note
from protocol.messages.spaces import Records, Space


class Metric(NamedTuple):
    """A ratio that is reported as sum / count over any set of slots."""

    name: str
    unit: str
    doc: str


class Outcome(NamedTuple):
    """What a transmission did.

    `rewards` [n_agents, E]; `sums`, `counts` [n_metrics]: numerators and denominators in the order of `World.metrics`.
    """

    rewards: npt.NDArray[np.float64]
    sums: npt.NDArray[np.float64]
    counts: npt.NDArray[np.float64]


class Told(NamedTuple):
    """A note told by a party of the network; `party` indexes `World.parties`."""

    party: int
    note: Note


class World(Protocol):
    """A scenario. Built as `module.WORLD.build(params, seed=..., replicas=...)`.

    One slot:  begin -> measure, report, probe (advance nothing) -> transmit -> report (feedback) -> begin ...

    A world whose draws take long may also offer `prefetch(episode, slot)`: called while the nodes are at work, it draws
    ahead what `begin` will need there, and changes nothing that can be seen. One that knows the radio of signalling
    links offers what `Radio` says, one that can be drawn what `Renderable` says.
    """

    agents: Sequence[str]  # names, by node index
    infrastructure: Sequence[str]  # who else is in the air and may tell notes: the BS, cellular users
    views: Mapping[str, Sequence[Space]]  # measurement spaces, by view and node
    actions: Sequence[Space]  # action spaces, by node
    metrics: Sequence[Metric]
    agent_link: LinkClass  # the class of links between agents

    def reset(self, episode: int) -> Any:
        """The state before the first slot of an episode."""
        ...

    def begin(self, state: Any, episode: int, slot: int) -> Any:
        """Open a slot: new fading, new arrivals."""
        ...

    def measure(self, state: Any, view: str) -> Sequence[Records]:
        """What each node's own receiver measures, [n_agents] of records [E]. KeyError for an unknown view."""
        ...

    def neighbours(self, state: Any) -> Sequence[tuple[int, ...]]:
        """Node indices each agent's broadcast reaches, sorted."""
        ...

    def report(self, state: Any, report: str) -> list[Told]:
        """Notes the network's parties tell; KeyError for an unknown report."""
        ...

    def probe(self, state: Any, actions: Sequence[Records]) -> Any:
        """What a short trial of these actions would let the receivers measure; advances nothing."""
        ...

    def transmit(self, state: Any, actions: Sequence[Records]) -> tuple[Any, Outcome]:
        """Radiate: SINR, rates, queues, rewards."""
        ...

    def static_info(self, node: int) -> dict[str, Any]:
        """Static knowledge of an agent, or of the BS/cloud for node == len(agents). MessagePack types only."""
        ...

    def silent(self, node: int) -> Records:
        """The action of a node that radiates nothing, [E]; also every node's action before its first."""
        ...

    def random(self, node: int, rng: np.random.Generator) -> Records:
        """A uniformly drawn action that radiates (the `random` fallback), [E]."""
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
    """What a world offers beside, if links may be rationed by their radio.

    A link of class `link` carries `share * signalling_band_hz * slot_s * signalling_bps_hz(...)` bits in a slot.
    """

    signalling_band_hz: float
    slot_s: float

    def signalling_bps_hz(self, state: Any, source: int, receivers: tuple[int, ...], link: LinkClass) -> float:
        """Spectral efficiency in this slot, mean over replicas; of several receivers the least. Nodes and parties by
        index. ValueError for a link that is no radio."""
        ...


class Renderable(Protocol):
    """What a world offers beside, if people can look at it."""

    def render(self, state: Any) -> dict[str, Any]:
        """Who is where, and what the last transmission did there, in replica 0: finite numbers and lists of them, by
        name, units in the names. Asked for a few times a second, and by no node."""
        ...


class Build(Protocol):
    def __call__(self, params: Any, *, seed: int, replicas: int) -> World: ...


@dataclass(frozen=True)
class WorldEntry:
    """How a module offers its world: `WORLD = WorldEntry(...)`; the catalogue finds it by itself.

    `name`: the module's name. `summary`: one line. `source`: paper and equations. `params`: a frozen dataclass.
    `build` raises ValueError with key, value and cure for parameters that are impossible together.
    """

    name: str
    summary: str
    source: str
    params: type
    build: Build
