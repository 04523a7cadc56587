"""My world: N nodes share a few channels; who has a channel to itself in a slot gets a packet through.

b_n <- b_n + A_n,  A_n ~ Bernoulli(load)              a packet may arrive at the beginning of a slot
n sends on channel c_n if it has a packet; it gets through if it is alone there; then b_n <- b_n - 1
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import cos, pi, sin
from typing import Annotated, Any, NoReturn

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from channel_server.worlds.contract import (
    InfrastructureNote,
    InfrastructureReport,
    Metric,
    SlotOutcome,
    WorldEntry,
)
from protocol.determinism.rng import CounterRng
from protocol.determinism.snapshots import fields_of
from protocol.messages.drawing import Bar, Drawing, LegendEntry, Point
from protocol.messages.episodes import Mask
from protocol.messages.kinds import CloudLink, LinkClass
from protocol.messages.spaces import Field, Records, Space
from protocol.params import param


@dataclass(frozen=True)
class MyWorldParams:
    """Set them as `world: {name: my_world, nodes: 6}`."""

    nodes: Annotated[int, Ge(2), Le(1000)] = param(4, "nodes that share the channels", source="ours")
    channels: Annotated[int, Ge(1), Le(100)] = param(2, "channels", source="ours")
    load: Annotated[float, Ge(0), Le(1)] = param(0.3, "mean arrivals of a node", unit="packets/slot", source="ours")


@dataclass(frozen=True)
class MyWorldState:
    """`backlog` [E, N] waiting packets; of the last slot the `channel` [E, N], 0 for none, and who got `through`."""

    backlog: npt.NDArray[np.int64]
    channel: npt.NDArray[np.int64]
    through: npt.NDArray[np.bool_]


class MyWorld:
    """The module gives its rules."""

    infrastructure: Sequence[str] = ()
    agent_link = LinkClass.SIDELINK
    cloud_link: CloudLink = "radio"
    metrics: Sequence[Metric] = (
        Metric("reward_total", "packets/slot", "packets that got through: the sum of the nodes' rewards"),
        Metric("backlog", "packets", "mean queue of a node at the end of a slot"),
    )

    def __init__(self, params: MyWorldParams, *, seed: int, replicas: int) -> None:
        self._params, self._replicas = params, replicas
        n = params.nodes
        self.agents: Sequence[str] = [f"node-{i}" for i in range(n)]
        channel = Field("channel", "u1", unit="0 none, else from 1", low=0, high=params.channels)
        self.actions: Sequence[Space] = [Space((channel,))] * n
        own = Space((Field("backlog", "i4", unit="packets", low=0), channel, Field("through", "u1", low=0, high=1)))
        self.views: Mapping[str, Sequence[Space]] = {"own": [own] * n}
        self.reports: Mapping[str, InfrastructureReport] = {}
        self._arrivals = CounterRng(seed, "arrivals")

    def reset(self) -> MyWorldState:
        """Empty queues, no transmission."""
        nothing = np.zeros((self._replicas, self._params.nodes), np.int64)
        return MyWorldState(nothing, nothing, nothing > 0)

    def begin(self, state: MyWorldState, slot: int, restart: Mask | None = None) -> MyWorldState:
        """Packets arrive, drawn at the position (slot); a new episode begins with empty queues."""
        arrived = self._arrivals.at(slot).random(state.backlog.shape) < self._params.load
        backlog = state.backlog if restart is None else np.where(restart[:, None], 0, state.backlog)
        return replace(state, backlog=backlog + arrived)

    def measure(self, state: MyWorldState, view: str, nodes: Sequence[int] | None = None) -> list[Records]:
        """Own backlog, and own channel and success in the last slot, of all nodes if none are named. KeyError for
        another view."""
        asked = range(self._params.nodes) if nodes is None else nodes
        records = [self.views[view][node].empty(self._replicas) for node in asked]
        for node, record in zip(asked, records, strict=True):
            record["backlog"], record["channel"] = state.backlog[:, node], state.channel[:, node]
            record["through"] = state.through[:, node]
        return records

    def neighbours(self, state: MyWorldState) -> Sequence[tuple[int, ...]]:
        """Every node is in reach of every other."""
        everyone = range(self._params.nodes)
        return [tuple(other for other in everyone if other != node) for node in everyone]

    def report(self, state: MyWorldState, name: str) -> list[InfrastructureNote]:
        """KeyError: there is no infrastructure that sends notes."""
        raise KeyError(name)

    def probe(self, state: MyWorldState, actions: Sequence[Records]) -> NoReturn:
        """NotImplementedError: there is nothing to try out."""
        raise NotImplementedError("my_world has no probing; use a scheme without 'probe' turns")

    def transmit(self, state: MyWorldState, actions: Sequence[Records]) -> tuple[MyWorldState, SlotOutcome]:
        """Who has a packet sends; who is alone on its channel gets it through. Reward: 1 for that, else 0."""
        wanted = np.stack([action["channel"] for action in actions], axis=1).astype(np.int64)  # [E, N]
        channel = np.where(state.backlog > 0, wanted, 0)
        same = (channel[:, :, None] == channel[:, None, :]).sum(axis=2)  # [E, N], oneself included
        through = (channel > 0) & (same == 1)
        backlog = state.backlog - through
        sums = np.array([through.sum(), backlog.sum()], float)
        counts = np.array([self._replicas, backlog.size], float)
        return MyWorldState(backlog, channel, through), SlotOutcome(through.T.astype(float), sums, counts)

    def render(self, state: MyWorldState) -> Drawing:
        """Nodes on a circle, by their channel of the last slot, with their queues."""
        turns = [2 * pi * node / self._params.nodes for node in range(self._params.nodes)]
        longest = max(1, int(state.backlog[0].max()))
        points = [
            Point(sin(a), cos(a), "marker", int(c) - 1, 20.0, hollow=bool(c > 0 and not through), about=name)
            for a, c, through, name in zip(turns, state.channel[0], state.through[0], self.agents, strict=True)
        ]
        bars = [
            Bar(0.75 * sin(a), 0.75 * cos(a), int(b) / longest, f"q {b}")
            for a, b in zip(turns, state.backlog[0], strict=True)
        ]
        return Drawing(
            summary=f"{int(state.through[0].sum())} packets got through, {int(state.backlog[0].sum())} wait.",
            left=-1.3,
            right=1.3,
            bottom=-1.3,
            top=1.3,
            points=tuple(points),
            bars=tuple(bars),
            legend=(
                LegendEntry("a node, in its channel's shape and colour", Point(0, 0, "marker", 0)),
                LegendEntry("collided", Point(0, 0, "marker", 0, hollow=True)),
                LegendEntry("did not send", Point(0, 0, "marker", -1)),
            ),
        )

    def static_info(self, node: int) -> dict[str, Any]:
        """What a node knows beforehand; here the BS/cloud (node == len(agents)) knows the same."""
        return {"nodes": self._params.nodes, "channels": self._params.channels}

    def silent(self, node: int) -> Records:
        """Channel 0."""
        return self.actions[node].empty(self._replicas)

    def random(self, node: int, rng: np.random.Generator) -> Records:
        """A channel, uniformly."""
        action = self.silent(node)
        action["channel"] = rng.integers(1, self._params.channels, self._replicas, endpoint=True)
        return action

    def resample_unobserved(self, state: MyWorldState, view: str, node: int, rng: np.random.Generator) -> MyWorldState:
        """What the other nodes measure, redrawn."""
        own = np.arange(self._params.nodes) == node
        channels = rng.integers(0, self._params.channels, state.channel.shape, endpoint=True)
        return MyWorldState(
            np.where(own, state.backlog, rng.integers(0, 9, state.backlog.shape)),
            np.where(own, state.channel, channels),
            np.where(own, state.through, rng.random(state.through.shape) < 0.5),
        )

    def snapshot(self, state: MyWorldState) -> dict[str, Any]:
        """The state as a dict of arrays."""
        return fields_of(state)

    def restore(self, data: dict[str, Any]) -> MyWorldState:
        """The inverse of `snapshot`."""
        return MyWorldState(**data)


def build(params: MyWorldParams, *, seed: int, replicas: int) -> MyWorld:
    """Raise a ValueError here for parameters that are impossible together."""
    return MyWorld(params, seed=seed, replicas=replicas)


def memory_bytes(params: MyWorldParams, replicas: int) -> int:
    """Queues, channels and rewards in a few copies, and the comparison of all pairs of nodes."""
    return replicas * params.nodes * (200 + 10 * params.nodes) + 2**20


WORLD = WorldEntry(
    name="my_world",
    summary="nodes share a few channels: who is alone on one gets a packet through",
    source="ours",
    params=MyWorldParams,
    build=build,
    memory_bytes=memory_bytes,
)
