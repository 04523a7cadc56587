"""Multi-cell scheduling on a directed conflict graph (zhang2025 section II-B).

    m_{n,h}(t) = 1 if n is scheduled on subband h and no scheduled i has (i, n) in E, else 0     eq. (3)
    q_n(t) = max(0, q_n(t-1) + Y_n(t) - sum_h m_{n,h}(t))                                          eq. (4)
    zeta_n(t) = q_n(t-1) + Y_n(t)                                                                  eq. (5)

Arrivals Y_n come at the beginning of a slot and are Poisson. The equations are printed for one subband; with H = 1 at
most 2 of the 8 devices of fig. 2 succeed per slot and the loads of the paper are unstable, so there are H of them.
A scheduled device with an empty queue sends no task but makes others fail all the same.

Not modelled: channels, powers, transmission errors other than by conflict.

Agents are access points with wires between them and to the BS/cloud, so their notes travel over the backhaul; a note
that is sent on the air itself (an INTENT) names the sidelink.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Annotated, Any, NoReturn

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from channel_server.traffic.arrivals import PoissonArrivals
from channel_server.traffic.queues import Queues
from channel_server.worlds.contract import InfrastructureNote, InfrastructureReport, Metric, SlotOutcome, WorldEntry
from channel_server.worlds.graph_drawing import draw
from channel_server.worlds.graphs import Graph, load
from protocol.determinism.snapshots import fields_of
from protocol.messages.drawing import Drawing
from protocol.messages.episodes import TRUNCATED, Ends, Mask
from protocol.messages.kinds import CloudLink, LinkClass
from protocol.messages.spaces import Field, Records, Space
from protocol.params import param

_DELAYS_SLOTS = (1, 2, 3, 5, 10, 20)  # where the distribution of delays is reported (fig. 7)


@dataclass(frozen=True)
class ConflictGraphParams:
    """Traffic, resources and the graph."""

    load: Annotated[float, Ge(0), Le(100)] = param(
        0.3,
        "mean arrivals per device; the paper's light, medium and heavy traffic are 0.3, 0.4 and 0.5",
        unit="tasks/slot",
        source="zhang2025 IV-B",
    )
    subbands: Annotated[int, Ge(1), Le(64)] = param(
        3, "resources per slot; an agent gives each to one of its devices", source="zhang2025 IV-A"
    )
    queue_bound: Annotated[int, Ge(1)] | None = param(
        None,
        "a replica's episode is cut off once one of its queues is longer; none: never",
        unit="tasks",
        source="zhang2025 IV-C, which gives no value; the authors' code has 50",
    )
    graph: str = param("fig2", "'fig2', or the path of a YAML file with a graph of your own", source="zhang2025 fig. 2")


@dataclass(frozen=True)
class GraphState:
    """The state between two calls of the world.

    `queues` after arrivals; `left` [E, N] q_n at the end of the last slot; `active`, `succeeded` [E, N, H] mu and m of
    the last slot.
    """

    queues: Queues
    left: npt.NDArray[np.int64]
    active: npt.NDArray[np.bool_]
    succeeded: npt.NDArray[np.bool_]


class ConflictGraph:
    """The world `conflict_graph`; the module gives its equations."""

    infrastructure: Sequence[str] = ()
    reports: Mapping[str, InfrastructureReport] = MappingProxyType({})
    agent_link = LinkClass.BACKHAUL
    cloud_link: CloudLink = "backhaul"
    metrics: Sequence[Metric] = (
        Metric("delay_slots", "slots", "mean delay of a served task; 1 when served in the slot of its arrival"),
        *(
            Metric(f"delay_{d}_slot{'s' * (d > 1)}", "1", f"share of served tasks with a delay of at most {d}")
            for d in _DELAYS_SLOTS
        ),
        Metric("queue_tasks", "tasks", "mean queue length of a device at the end of a slot, q_n"),
        Metric("arrived_tasks", "tasks/slot", "arrivals in the whole network"),
        Metric("served_tasks", "tasks/slot", "departures in the whole network"),
        Metric("transmissions", "1/slot", "scheduled pairs of device and subband in the whole network"),
        Metric("success_ratio", "1", "share of transmissions without a conflict"),
        Metric("reward_total", "tasks", "sum of the agents' rewards per slot, eq. (10)"),
    )

    def __init__(self, graph: Graph, params: ConflictGraphParams, *, seed: int, replicas: int) -> None:
        self.agents: Sequence[str] = graph.agents
        self.graph, self._params, self._replicas = graph, params, replicas
        n_devices = len(graph.devices)
        self._arrivals = PoissonArrivals(params.load, n_devices, replicas, seed)
        self._spoilers = graph.spoils.T.astype(np.float32)  # [N, N]: [n, i] is 1 where i spoils n
        self._rivals = np.maximum(self._spoilers, self._spoilers.T)  # either direction
        self._own_sums = np.array([[own.start <= n < own.stop for n in range(n_devices)] for own in graph.own], float)
        self._locals = [np.arange(1, len(own) + 1)[:, None] for own in graph.serves]  # [n_own, 1]
        self._neighbourhoods = _neighbourhoods(graph)
        own_counts = [len(own) for own in graph.serves]
        self.actions: Sequence[Space] = [_action_space(n, params.subbands) for n in own_counts]
        self.views: Mapping[str, Sequence[Space]] = {
            "queues": [_queues_space(n, params.subbands) for n in own_counts],
            "carrier": [_carrier_space(n, params.subbands) for n in own_counts],
            "local": [_queues_space(n, params.subbands) for n in own_counts],
        }

    def reset(self) -> GraphState:
        """Empty queues and no transmission."""
        shape = (self._replicas, len(self.graph.devices))
        silence = np.zeros((*shape, self._params.subbands), bool)
        return GraphState(Queues.empty(*shape), np.zeros(shape, np.int64), silence, silence)

    def begin(self, state: GraphState, slot: int, restart: Mask | None = None) -> GraphState:
        """New tasks arrive; in a new episode, at empty queues."""
        queues = state.queues if restart is None else state.queues.emptied(restart)
        return replace(state, queues=queues.arrive(self._arrivals.at(slot)))

    def measure(self, state: GraphState, view: str, nodes: Sequence[int] | None = None) -> list[Records]:
        """Own queues and successes; the view `carrier` adds the activity of the last slot. `local`, in every world of
        zhang2025 what an agent's own observation needs (eq. 7), is that of the queues."""
        asked = range(len(self.agents)) if nodes is None else nodes
        records = [self._queues_record(state, node, view) for node in asked]
        if view == "carrier":
            busy = self._count(self._rivals, state.active) > 0  # [E, N, H]
            for record, node in zip(records, asked, strict=True):
                own = self.graph.own[node]
                record["active"] = state.active[:, own]
                record["busy"] = busy[:, own]
        return records

    def neighbours(self, state: GraphState) -> Sequence[tuple[int, ...]]:
        """By agent, the agents whose devices conflict with its own, in either direction (section II-B)."""
        return self.graph.neighbours

    def report(self, state: GraphState, name: str) -> list[InfrastructureNote]:
        """KeyError: there is no infrastructure that sends notes."""
        raise KeyError(name)

    def probe(self, state: GraphState, actions: Sequence[Records]) -> NoReturn:
        """NotImplementedError: a trial of a slot would be the slot itself."""
        raise NotImplementedError("conflict_graph has no probing; use a scheme without 'probe' turns")

    def transmit(self, state: GraphState, actions: Sequence[Records]) -> tuple[GraphState, SlotOutcome]:
        """Collisions, service, and rewards."""
        active = self._scheduled(actions)  # mu [E, N, H]
        succeeded = active & (self._count(self._spoilers, active) == 0)  # eq. (3)
        queues, by_delay = state.queues.serve(succeeded.sum(2))  # eq. (4)
        rewards = self._rewards(queues.lengths)
        arrived = state.queues.by_age[..., 0].sum()
        tally = self._tally(by_delay, queues.lengths, arrived, active, succeeded, rewards)
        return GraphState(queues, queues.lengths, active, succeeded), SlotOutcome(rewards, *tally, self._ended(queues))

    def render(self, state: GraphState) -> Drawing:
        """The graph; by device its queue at the end of the last slot, and the subbands on which it was scheduled and
        succeeded."""
        active, succeeded = ([np.flatnonzero(on).tolist() for on in of[0]] for of in (state.active, state.succeeded))
        return draw(self.graph, state.left[0].tolist(), active, succeeded)

    def static_info(self, node: int) -> dict[str, Any]:
        """An agent's local topology; the whole graph for the BS/cloud."""
        if node == len(self.agents):
            return self._whole_topology()
        return self._local_topology(node)

    def silent(self, node: int) -> Records:
        """No device is scheduled."""
        return self.actions[node].empty(self._replicas)

    def random(self, node: int, rng: np.random.Generator) -> Records:
        """One of the own devices, uniformly, on each subband."""
        action = self.silent(node)
        shape = (self._replicas, self._params.subbands)
        action["device"] = rng.integers(1, len(self.graph.serves[node]), shape, endpoint=True)
        return action

    def resample_unobserved(self, state: GraphState, view: str, node: int, rng: np.random.Generator) -> GraphState:
        """Redraw all that `node` cannot measure: others' queues, own tasks' ages, activity without conflict with it."""
        own = self.graph.own[node]
        seen = np.zeros(len(self.graph.devices), bool)
        seen[own] = view != ""
        sensed = seen | (self._rivals[own].any(0) & (view == "carrier"))
        return GraphState(
            Queues(_redraw_ages(state.queues.by_age, seen, rng)),
            np.where(seen, state.left, rng.integers(0, 9, state.left.shape)),
            _redraw(state.active, seen if view == "" else sensed, rng),
            _redraw(state.succeeded, seen, rng),
        )

    def snapshot(self, state: GraphState) -> dict[str, Any]:
        """The state as nested dicts of arrays."""
        return fields_of(state)

    def restore(self, data: dict[str, Any]) -> GraphState:
        """The inverse of `snapshot`."""
        return GraphState(**{**data, "queues": Queues(**data["queues"])})

    def _queues_record(self, state: GraphState, node: int, view: str) -> Records:
        record = self.views[view][node].empty(self._replicas)
        own = self.graph.own[node]
        record["tasks"] = state.queues.lengths[:, own]
        record["left"] = state.left[:, own]
        record["succeeded"] = state.succeeded[:, own]
        return record

    def _count(self, edges: npt.NDArray[np.float32], active: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
        """The number of active devices with an edge in `edges` [N, N] to each device, [E, N, H]."""
        return edges @ active.astype(np.float32)

    def _scheduled(self, actions: Sequence[Records]) -> npt.NDArray[np.bool_]:
        """mu: the devices scheduled on each subband, [E, N, H]."""
        chosen = [a["device"][:, None, :] == own for a, own in zip(actions, self._locals, strict=True)]
        return np.concatenate(chosen, axis=1)

    def _rewards(self, left: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        """Minus the queue lengths of the own and the neighbours' devices, eq. (9) and (10), [K, E]."""
        return -(self._neighbourhoods @ (self._own_sums @ left.T))

    def _ended(self, queues: Queues) -> Ends | None:
        """TRUNCATED in the replicas in which a queue has passed the bound, [E]."""
        if (bound := self._params.queue_bound) is None:
            return None
        return np.where((queues.lengths > bound).any(axis=1), np.uint8(TRUNCATED), np.uint8(0))

    def _tally(
        self,
        by_delay: npt.NDArray[np.int64],
        left: npt.NDArray[np.int64],
        arrived: int,
        active: npt.NDArray[np.bool_],
        succeeded: npt.NDArray[np.bool_],
        rewards: npt.NDArray[np.float64],
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Numerators and denominators in the order of `metrics`."""
        served_by_delay = by_delay.sum((0, 1))  # [ages]
        within = served_by_delay.cumsum()
        served, replicas, transmissions = int(within[-1]), self._replicas, int(active.sum())
        delay_slots = served_by_delay @ np.arange(1, len(served_by_delay) + 1)
        shares = [within[min(d, len(within)) - 1] for d in _DELAYS_SLOTS]
        sums = [delay_slots, *shares, left.sum(), arrived, served, transmissions, succeeded.sum(), rewards.sum()]
        counts = [served] * (1 + len(shares)) + [left.size, replicas, replicas, replicas, transmissions, replicas]
        return np.array(sums, float), np.array(counts, float)

    def _local_topology(self, node: int) -> dict[str, Any]:
        graph = self.graph
        spoils = [[n for n in graph.devices if (i, n) in graph.conflicts] for i in graph.serves[node]]
        spoiled_by = [[i for i in graph.devices if (i, n) in graph.conflicts] for n in graph.serves[node]]
        around = [{"agent": k, "devices": list(graph.serves[k])} for k in graph.neighbours[node]]
        return {
            "subbands": self._params.subbands,
            "n_devices": len(graph.devices),
            "devices": list(graph.serves[node]),
            "spoils": spoils,
            "spoiled_by": spoiled_by,
            "neighbours": around,
        }

    def _whole_topology(self) -> dict[str, Any]:
        graph = self.graph
        return {
            "subbands": self._params.subbands,
            "agents": [list(own) for own in graph.serves],
            "conflicts": sorted([i, n] for i, n in graph.conflicts),
        }


def build(params: ConflictGraphParams, *, seed: int, replicas: int) -> ConflictGraph:
    """ValueError for a graph that cannot be read."""
    return ConflictGraph(load(params.graph), params, seed=seed, replicas=replicas)


def memory_bytes(params: ConflictGraphParams, replicas: int) -> int:
    """Queues of tasks up to 16 slots old, in a few copies, and flags per subband; tasks that wait longer take more.
    ValueError for a graph that cannot be read."""
    devices = len(load(params.graph).devices)
    return replicas * devices * (600 + 16 * params.subbands) + 32 * devices**2 + 2**20


def _neighbourhoods(graph: Graph) -> npt.NDArray[np.float64]:
    """C(k): [k, j] is 1 where j is k or its neighbour, [K, K]."""
    near = np.eye(len(graph.agents))
    for k, others in enumerate(graph.neighbours):
        near[k, list(others)] = 1.0
    return near


def _action_space(n_own: int, subbands: int) -> Space:
    return Space((Field("device", "i1", (subbands,), unit="0 none, else local index from 1", low=0, high=n_own),))


def _queues_space(n_own: int, subbands: int) -> Space:
    return Space(
        (
            Field("tasks", "i4", (n_own,), unit="tasks, after arrivals"),
            Field("left", "i4", (n_own,), unit="tasks, at the end of the last slot"),
            Field("succeeded", "u1", (n_own, subbands), unit="0/1, last slot"),
        )
    )


def _carrier_space(n_own: int, subbands: int) -> Space:
    activity = (
        Field("active", "u1", (n_own, subbands), unit="0/1, last slot"),
        Field("busy", "u1", (n_own, subbands), unit="0/1, a conflicting device was active in the last slot"),
    )
    return Space((*_queues_space(n_own, subbands).fields, *activity))


def _redraw(flags: npt.NDArray[np.bool_], keep: npt.NDArray[np.bool_], rng: np.random.Generator) -> Any:
    return np.where(keep[:, None], flags, rng.random(flags.shape) < 0.5)


def _redraw_ages(by_age: Any, seen: npt.NDArray[np.bool_], rng: np.random.Generator) -> Any:
    """New tasks for devices that are not `seen`; the others keep their number of tasks, but not the ages."""
    return np.where(seen[:, None], rng.permuted(by_age, axis=-1), rng.integers(0, 3, by_age.shape))


WORLD = WorldEntry(
    name="conflict_graph",
    summary="slotted scheduling on a directed conflict graph: 4 access points, 8 devices, 3 subbands, Poisson tasks",
    source="zhang2025 II-B, eq. (3)-(10), fig. 2",
    params=ConflictGraphParams,
    build=build,
    memory_bytes=memory_bytes,
)
