"""The world: wong2021's cells slot by slot."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from channel_server.radio import zero_forcing
from channel_server.radio.decibels import Floats, from_db
from channel_server.radio.fading import Coefficients, draw_coefficients
from channel_server.worlds.contract import InfrastructureNote, InfrastructureReport, Metric, SlotOutcome
from channel_server.worlds.mumimo_cells.drawing import draw
from channel_server.worlds.mumimo_cells.params import MuMimoCells
from channel_server.worlds.mumimo_cells.physics import METRICS, CellsPhysics, CellsState
from channel_server.worlds.mumimo_cells.unobserved import mix
from channel_server.worlds.mumimo_cells.views import Views, action_space
from protocol.determinism.rng import CounterRng
from protocol.determinism.snapshots import fields_of
from protocol.messages.drawing import Drawing
from protocol.messages.episodes import Mask
from protocol.messages.kinds import CloudLink, LinkClass
from protocol.messages.spaces import Records, Space


class Cells:
    """Channels follow from the seed and the fading block; a CellsState holds the rest."""

    infrastructure: Sequence[str] = ()
    agent_link = LinkClass.BACKHAUL
    cloud_link: CloudLink = "backhaul"
    metrics: Sequence[Metric] = METRICS
    reports: Mapping[str, InfrastructureReport] = {}

    def __init__(self, params: MuMimoCells, seed: int, replicas: int) -> None:
        self.params, self.replicas = params, replicas
        self.agents: Sequence[str] = tuple(f"bs-{b}" for b in range(params.cells))
        self.actions: Sequence[Space] = (action_space(params),) * params.cells
        self._physics = CellsPhysics(params)
        self._views = Views(params, self._physics, replicas)
        self.views: Mapping[str, Sequence[Space]] = {
            view: (space,) * params.cells for view, space in self._views.spaces.items()
        }
        self._fading = CounterRng(seed, "fading")

    def reset(self) -> CellsState:
        """Nothing has been transmitted, no power spent."""
        e, b, u, f = self.replicas, self.params.cells, self.params.users, self.params.channels
        own, gain = self._draw(self._fading.at(0, turn=1))
        silence = np.zeros((e, b, u, f))
        return CellsState(
            own,
            gain,
            power=silence,
            rate=np.zeros((e, b)),
            trial=silence,
            cost=self._physics.quiet_costs(gain),
            probes=np.zeros(e, np.int64),
            spent=np.zeros((e, b)),
            elapsed=np.zeros(e, np.int64),
        )

    def begin(self, state: CellsState, slot: int, restart: Mask | None = None) -> CellsState:
        """New channels where a block begins; a new budget every T slots and in a new episode, in which no powers are
        carried."""
        own, gain = state.own, state.gain
        if slot % self.params.block_slots == 0:
            own, gain = self._draw(self._fading.at(slot // self.params.block_slots))
        anew = np.zeros(self.replicas, bool) if restart is None else restart
        renewed = anew | (state.elapsed >= self.params.budget_slots)
        power = np.where(anew[:, None, None, None], 0.0, state.power)
        trial = power if self.params.carry else np.zeros_like(power)
        return replace(
            state,
            own=own,
            gain=gain,
            power=power,
            trial=trial,
            cost=self._physics.costs(gain, trial),
            probes=np.zeros_like(state.probes),
            spent=np.where(renewed[:, None], 0.0, state.spent),
            elapsed=np.where(renewed, 0, state.elapsed),
        )

    def probe(self, state: CellsState, actions: Sequence[Records]) -> CellsState:
        """A trial of these powers, whose costs are measured next; only the slot's probes are counted."""
        trial = self._physics.powers(state, actions)
        return replace(state, trial=trial, cost=self._physics.costs(state.gain, trial), probes=state.probes + 1)

    def transmit(self, state: CellsState, actions: Sequence[Records]) -> tuple[CellsState, SlotOutcome]:
        """Rates of all cells; the power spent is no longer in the budget."""
        powers = self._physics.powers(state, actions)
        rate = self._physics.rates(state.gain, powers).sum(axis=(2, 3))  # [E, B]
        outcome = self._physics.outcome(state, powers, rate)
        spent = state.spent + powers.sum(axis=(2, 3))
        return replace(state, power=powers, rate=rate, spent=spent, elapsed=state.elapsed + 1), outcome

    def measure(self, state: CellsState, view: str, nodes: Sequence[int] | None = None) -> list[Records]:
        """Every base station's measurement; `views` of this package gives fields and units of each view."""
        records = self._views.measure(state, view)
        return records if nodes is None else [records[node] for node in nodes]

    def neighbours(self, state: CellsState) -> Sequence[tuple[int, ...]]:
        """All others."""
        cells = range(self.params.cells)
        return [tuple(other for other in cells if other != b) for b in cells]

    def report(self, state: CellsState, name: str) -> list[InfrastructureNote]:
        """There is none: KeyError."""
        raise KeyError(name)

    def render(self, state: CellsState) -> Drawing:
        """Of the last transmission each cell's power and rate by channel."""
        power = state.power[0].sum(axis=1)  # [B, F]
        total = power.sum(axis=1, keepdims=True)
        shares = np.divide(power, total, out=np.zeros_like(power), where=total > 0)
        rates = self._physics.rates(state.gain[:1], state.power[:1])[0].sum(axis=1)
        return draw(self.agents, shares, rates)

    def static_info(self, node: int) -> dict[str, Any]:
        """Sizes and mean powers, nothing of the channels; the BS/cloud knows the same."""
        params = self.params
        return {
            "cells": params.cells,
            "antennas": params.antennas,
            "users": params.users,
            "channels": params.channels,
            "mean_power": params.mean_power,  # of a user in a slot, in units of the noise
            "cross_gain": self._cross_gain,  # mean, from each other base station; that from the own one is 1
            "observation": params.observation,
        }

    def silent(self, node: int) -> Records:
        """No power on any channel."""
        return self.actions[node].empty(self.replicas)

    def random(self, node: int, rng: np.random.Generator) -> Records:
        """Uniform shares."""
        return self.actions[node].sample(rng, self.replicas)

    def resample_unobserved(self, state: CellsState, view: str, node: int, rng: np.random.Generator) -> CellsState:
        """Another state in which `node` measures the same in `view`: other channels, powers, budgets and costs."""
        own, gain = self._draw(rng)
        actions = [self.random(b, rng) for b in range(self.params.cells)]
        share_spent = rng.random(state.spent.shape)
        trial = self._physics.powers(state, actions)
        other = replace(
            state,
            own=own,
            gain=gain,
            power=rng.permuted(trial, axis=-1),
            rate=self._physics.rates(gain, trial).sum(axis=(2, 3)),
            trial=trial,
            cost=self._physics.costs(gain, trial),
            spent=share_spent * state.elapsed[:, None] * self.params.mean_power * self.params.users,
        )
        return mix(state, other, view, node)

    def snapshot(self, state: CellsState) -> dict[str, Any]:
        """The state as a dict of arrays."""
        return fields_of(state)

    def restore(self, data: dict[str, Any]) -> CellsState:
        """The inverse of `snapshot`."""
        return CellsState(**data)

    @property
    def _cross_gain(self) -> float:
        return float(from_db(-self.params.sir_db))  # eq. (23) with a_bb = 1

    def _draw(self, rng: np.random.Generator) -> tuple[Coefficients, Floats]:
        """H_b [E, F, B, M, U], and |w^H h|^2 [E, F, B, U, B, U]; Rayleigh channels of mean power a, eq. (2)."""
        b, m, u = self.params.cells, self.params.antennas, self.params.users
        h = draw_coefficients(rng, (self.replicas, self.params.channels, b, m, b, u))
        amplitude = np.where(np.eye(b) > 0, 1.0, np.sqrt(self._cross_gain))  # [B (tx), B (rx)]
        h *= amplitude[:, None, :, None]
        own: Coefficients = np.asarray(zero_forcing.own_channels(h), np.complex128, order="C")
        return own, zero_forcing.gains(h, zero_forcing.beamformers(own))
