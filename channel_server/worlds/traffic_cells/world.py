"""The world: zhang2025's cellular network slot by slot."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np

from channel_server.radio import fading
from channel_server.radio.fading import RAYLEIGH_MEAN_DB, RAYLEIGH_STD_DB, Coefficients
from channel_server.radio.path_loss import PathLoss
from channel_server.traffic.arrivals import PoissonArrivals
from channel_server.traffic.packets import PacketQueues
from channel_server.worlds.contract import (
    Distribution,
    InfrastructureNote,
    InfrastructureReport,
    Metric,
    SlotOutcome,
)
from channel_server.worlds.traffic_cells.drawing import Slot, draw
from channel_server.worlds.traffic_cells.drop import Drop
from channel_server.worlds.traffic_cells.params import RadioBudget, TrafficCells
from channel_server.worlds.traffic_cells.physics import CellsPhysics, CellsState, Reception
from channel_server.worlds.traffic_cells.results import METRICS, Results, distributions
from channel_server.worlds.traffic_cells.unobserved import redraw
from channel_server.worlds.traffic_cells.views import Views, action_space
from protocol.determinism.rng import CounterRng
from protocol.determinism.snapshots import fields_of
from protocol.messages.drawing import Drawing
from protocol.messages.episodes import Mask
from protocol.messages.kinds import CloudLink, LinkClass
from protocol.messages.spaces import Records, Space


class Cells:
    """Places are fixed by the seed; a CellsState holds the rest."""

    infrastructure: Sequence[str] = ()
    reports: Mapping[str, InfrastructureReport] = MappingProxyType({})
    agent_link = LinkClass.BACKHAUL
    cloud_link: CloudLink = "backhaul"
    metrics: Sequence[Metric] = METRICS

    def __init__(self, params: TrafficCells, seed: int, replicas: int) -> None:
        self.params, self.replicas = params, replicas
        drop_seed = seed if params.drop_seed is None else params.drop_seed
        self.drop = Drop(params, CounterRng(drop_seed, "drop"))
        self.budget = RadioBudget.of(params)
        self.agents: Sequence[str] = tuple(f"ap-{k}" for k in range(len(self.drop.own)))
        self._physics = CellsPhysics(params, self.budget, self.drop, replicas)
        self._views = Views(self._physics, params, self.drop, replicas)
        self.views: Mapping[str, Sequence[Space]] = self._views.spaces
        self.actions: Sequence[Space] = [action_space(n, params, self.budget) for n in self.drop.counts]
        self.distributions: Sequence[Distribution] = distributions(params)
        self._fading = CounterRng(seed, "fading")
        load = params.load_packets_s * params.slot_s
        self._arrivals = PoissonArrivals(load, len(self.drop.cell), replicas, seed)

    @cached_property
    def _results(self) -> Results:
        return Results(self.params, self.drop, self.replicas)

    def reset(self) -> CellsState:
        """Empty queues; nothing has been transmitted."""
        coefficients = self._draw(self._fading.at(0, turn=1))
        queues = PacketQueues.empty(self.replicas, len(self.drop.cell), self.params.packet_bits)
        none = np.zeros_like(queues.packets)
        return CellsState(coefficients, queues, none, none, self._physics.silence(coefficients))

    def begin(self, state: CellsState, slot: int, restart: Mask | None = None) -> CellsState:
        """The channel one slot later (eq. 11), and new packets; in a new episode, a channel without memory and empty
        queues."""
        before, queues = state.fading, state.queues
        if restart is not None and restart.any():
            queues = queues.cleared(restart)
            before = np.where(restart[:, None, None, None], self._draw(self._fading.at(slot, turn=1)), before)
        coefficients = fading.step(before, self.budget.correlation, self._fading.at(slot)) if before.size else before
        arrived = self._arrivals.at(slot)
        return replace(state, fading=coefficients, queues=queues.arrive(arrived), arrived=arrived)

    def measure(self, state: CellsState, view: str) -> list[Records]:
        """Every AP's measurement of its devices; `views` of this package gives the fields."""
        return self._views.measure(state, view)

    def neighbours(self, state: CellsState) -> Sequence[tuple[int, ...]]:
        """The cells that may interfere strongly, in either direction."""
        return self.drop.neighbours

    def report(self, state: CellsState, name: str) -> list[InfrastructureNote]:
        """KeyError: there is no infrastructure that sends notes."""
        raise KeyError(name)

    def probe(self, state: CellsState, actions: Sequence[Records]) -> NoReturn:
        """NotImplementedError: the paper has no trials."""
        raise NotImplementedError("traffic_cells has no probing; use a scheme without 'probe' turns")

    def transmit(self, state: CellsState, actions: Sequence[Records]) -> tuple[CellsState, SlotOutcome]:
        """Interference, service, rewards."""
        after = self._physics.transmit(state.fading, state.queues.waiting_bits, actions)
        served = state.queues.serve(self._physics.bits(after))
        left_bits = served.queues.waiting_bits
        outcome = self._results.outcome(after, int(state.arrived.sum()), served)
        return replace(state, queues=served.queues, left_bits=left_bits, last=after), outcome

    def render(self, state: CellsState) -> Drawing:
        """The network, and the last transmission and queues of replica 0."""
        packets = state.left_bits[0] / self.params.packet_bits
        return draw(self.drop, self.params.radius_m, Slot(packets, state.last.power_w[0], state.last.efficiency[0]))

    def static_info(self, node: int) -> dict[str, Any]:
        """Radio and traffic constants, and the number of devices of this AP and of its neighbours, or, for the
        BS/cloud, of all.

        `gain_db`: mean and standard deviation of the gain of an own link over drops and fading, to standardise it with.
        """
        params, counts = self.params, self.drop.counts
        loss = PathLoss(params.path_loss_intercept_db, params.path_loss_slope_db, params.min_distance_m)
        loss_db, loss_std_db = loss.spread_over_disc_db(params.radius_m)
        fades = params.fading == "rayleigh"
        constants = {
            "subbands": params.subbands,
            "subband_hz": self.budget.subband_hz,
            "slot_s": params.slot_s,
            "packet_bits": params.packet_bits,
            "powers_w": self.budget.powers_w.tolist(),  # by level
            "noise_w": self.budget.noise_w,
            "max_sinr": None if params.max_sinr_db is None else self.budget.max_sinr,  # linear
            "max_devices": max(counts),  # of an AP
            "gain_db": [
                (RAYLEIGH_MEAN_DB if fades else 0.0) - loss_db,
                float(np.hypot(loss_std_db, RAYLEIGH_STD_DB if fades else 0.0)),
            ],
        }
        if node == len(self.agents):
            neighbours = [list(others) for others in self.drop.neighbours]
            return constants | {"agents": counts, "neighbours": neighbours, "drop": params.drop}
        around = [{"agent": k, "devices": counts[k]} for k in self.drop.neighbours[node]]
        return constants | {"devices": counts[node], "neighbours": around}

    def silent(self, node: int) -> Records:
        """No device is served."""
        return self.actions[node].empty(self.replicas)

    def random(self, node: int, rng: np.random.Generator) -> Records:
        """One of the own devices on each subband, at any power, uniformly."""
        action = self.silent(node)
        shape = action["device"].shape
        action["device"] = rng.integers(1, self.drop.counts[node], shape, endpoint=True)
        action["level"] = rng.integers(0, len(self.budget.powers_w), shape)
        return action

    def resample_unobserved(self, state: CellsState, view: str, node: int, rng: np.random.Generator) -> CellsState:
        """Other queues, ages of packets, fading and transmissions, but for what `node` measures in `view`."""
        coefficients = self._draw(rng)
        actions = [self.random(n, rng) for n in range(len(self.agents))]
        last = self._physics.transmit(coefficients, np.ones_like(state.left_bits), actions)
        return redraw(state, replace(state, fading=coefficients, last=last), self.drop.cell == node, view, rng)

    def snapshot(self, state: CellsState) -> dict[str, Any]:
        """The state as nested dicts of arrays; the places follow from the seed."""
        return fields_of(state)

    def restore(self, data: dict[str, Any]) -> CellsState:
        """The inverse of `snapshot`."""
        parts = {"queues": PacketQueues(**data["queues"]), "last": Reception(**data["last"])}
        return CellsState(**{**data, **parts})

    def _draw(self, rng: np.random.Generator) -> Coefficients:
        """Coefficients of all links, [E, H, K, N], or [E, 0, K, N] without fading."""
        subbands = self.params.subbands if self.params.fading == "rayleigh" else 0
        return fading.draw_single(rng, (self.replicas, subbands, len(self.agents), len(self.drop.cell)))
