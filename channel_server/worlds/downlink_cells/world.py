"""The world: the network slot by slot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from channel_server.radio import fading
from channel_server.radio.decibels import Floats
from channel_server.worlds.contract import InfrastructureNote, InfrastructureReport, Metric, SlotOutcome
from channel_server.worlds.downlink_cells.drawing import Picture, draw
from channel_server.worlds.downlink_cells.params import DownlinkCells
from channel_server.worlds.downlink_cells.physics import METRICS, Physics, Reception
from channel_server.worlds.downlink_cells.places import Places
from channel_server.worlds.downlink_cells.views import SHOWS_CSI, SHOWS_LAST, Views, action_space
from protocol.determinism.rng import CounterRng
from protocol.determinism.snapshots import fields_of
from protocol.messages.drawing import Drawing
from protocol.messages.episodes import TERMINATED, TRUNCATED, Ends, Mask
from protocol.messages.kinds import CloudLink, LinkClass
from protocol.messages.spaces import Records, Space


@dataclass(frozen=True)
class State:
    """One slot. `age` [E]: slots of the episode before this one; `coefficients` [E, B, B, K], or [E, 0] of fading
    without memory; `mean_gain`, `gain` [E, B (tx), B, K], linear."""

    users_m: Floats  # [E, B, K, 2]
    mean_gain: Floats
    coefficients: fading.Coefficients
    gain: Floats
    age: npt.NDArray[np.int64]
    last: Reception


class Cells:
    """B BSs with K users each. Places and fading follow from the seed and the slot alone."""

    infrastructure: Sequence[str] = ()  # no sender of notes but the BSs
    reports: Mapping[str, InfrastructureReport] = {}
    agent_link: LinkClass = LinkClass.BACKHAUL
    cloud_link: CloudLink = "backhaul"
    metrics: Sequence[Metric] = METRICS

    def __init__(self, params: DownlinkCells, seed: int, replicas: int) -> None:
        self.params, self.replicas = params, replicas
        self.agents: Sequence[str] = tuple(f"bs-{b}" for b in range(params.cells))
        self.places = Places(params)
        self._physics, self._views = Physics(params, replicas), Views(params, replicas)
        self.views: Mapping[str, Sequence[Space]] = {
            view: (space,) * params.cells for view, space in self._views.spaces.items()
        }
        self.actions: Sequence[Space] = (action_space(params),) * params.cells
        self._places_rng, self._fading_rng = CounterRng(seed, "places"), CounterRng(seed, "fading")
        self._correlation = fading.jakes_correlation(params.doppler_hz, params.slot_s)
        self._links = (replicas, params.cells, params.cells, params.users)

    def reset(self) -> State:
        """Nothing has been transmitted; the places are those of the first episode."""
        users_m, mean_gain = self.places.draw(self._places_rng.at(0, turn=1), self.replicas)
        coefficients = self._first_coefficients(self._fading_rng.at(0, turn=1))
        age = np.full(self.replicas, -1)  # `begin` counts the first slot
        return State(users_m, mean_gain, coefficients, mean_gain, age, self._physics.nothing())

    def begin(self, state: State, slot: int, restart: Mask | None = None) -> State:
        """New fading; in new episodes new places, too. Both are drawn at the position (slot)."""
        age = state.age + 1
        if restart is not None:
            state, age = self._restarted(state, slot, restart), np.where(restart, 0, age)
        match self.params.fading:
            case "none":
                return replace(state, gain=state.mean_gain, age=age)
            case "fresh":
                faded = state.mean_gain * fading.draw_power(self._fading_rng.at(slot), self._links)
                return replace(state, gain=faded, age=age)
            case "jakes":
                coefficients = fading.step(state.coefficients, self._correlation, self._fading_rng.at(slot))
                faded = state.mean_gain * fading.power(coefficients)
                return replace(state, coefficients=coefficients, gain=faded, age=age)

    def measure(self, state: State, view: str, nodes: Sequence[int] | None = None) -> list[Records]:
        """Every BS's measurement; `views` of this package gives fields and units of each view."""
        records = self._views.measure(view, state.gain, state.last)
        return records if nodes is None else [records[node] for node in nodes]

    def neighbours(self, state: State) -> Sequence[tuple[int, ...]]:
        """Every BS reaches every other."""
        everyone = range(self.params.cells)
        return [tuple(other for other in everyone if other != b) for b in everyone]

    def report(self, state: State, name: str) -> list[InfrastructureNote]:
        raise KeyError(name)

    def probe(self, state: State, actions: Sequence[Records]) -> NoReturn:
        raise NotImplementedError("downlink_cells has no probing; use a scheme without 'probe' turns")

    def transmit(self, state: State, actions: Sequence[Records]) -> tuple[State, SlotOutcome]:
        """Rates, rewards and metrics; the state keeps what the users received."""
        after = self._physics.transmit(state.gain, actions)
        return replace(state, last=after), self._physics.outcome(after, self._ended(state))

    def render(self, state: State) -> Drawing:
        """The last transmission in replica 0."""
        last = state.last
        shares = last.powers_w[0] / self.params.max_power_w
        return draw(Picture(self.params.radius_m, self.places.sites_m, state.users_m[0], shares, last.rate_bps_hz[0]))

    def static_info(self, node: int) -> dict[str, Any]:
        """Constants of the network, nothing of its places; the BS/cloud knows the same. `typical_db`: mean and
        deviation of the gains in dB to own and to other users, to standardise them with."""
        params = self.params
        return {
            "cells": params.cells,
            "users": params.users,
            "max_power_w": params.max_power_w,
            "noise_w": params.noise_w,
            "power_budget": params.power_budget,
            "interference": params.interference,
            "typical_db": self.places.typical_db,
        }

    def silent(self, node: int) -> Records:
        """No power for any user."""
        return self.actions[node].empty(self.replicas)

    def random(self, node: int, rng: np.random.Generator) -> Records:
        """Powers uniform in [0, Pmax]."""
        return self.actions[node].sample(rng, self.replicas)

    def resample_unobserved(self, state: State, view: str, node: int, rng: np.random.Generator) -> State:
        """Another state in which `node` measures the same in `view`: new places, fading and a random transmission."""
        users_m, mean_gain = self.places.draw(rng, self.replicas)
        coefficients = self._first_coefficients(rng)
        faded = mean_gain * fading.draw_power(rng, self._links)
        last = self._physics.transmit(faded, [self.random(b, rng) for b in range(self.params.cells)])
        if view in SHOWS_CSI:
            faded[:, node] = state.gain[:, node]
        if view == "receivers":
            faded[:, node, node] = state.gain[:, node, node]
        if view in SHOWS_LAST:
            for name in ("powers_w", "interference_w", "rate_bps_hz"):
                getattr(last, name)[:, node] = getattr(state.last, name)[:, node]
        return State(users_m, mean_gain, coefficients, faded, state.age, last)

    def snapshot(self, state: State) -> dict[str, Any]:
        """The state as nested dicts of arrays."""
        return fields_of(state)

    def restore(self, data: dict[str, Any]) -> State:
        """The inverse of `snapshot`."""
        return State(**{**data, "last": Reception(**data["last"])})

    def _restarted(self, state: State, slot: int, restart: Mask) -> State:
        """With new places, unless these stay for good, and new fading in the replicas [E] that restart."""

        def chosen(new: npt.NDArray[Any], old: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return new if restart.all() else np.where(restart.reshape(-1, *[1] * (new.ndim - 1)), new, old)

        coefficients = self._first_coefficients(self._fading_rng.at(slot, turn=1))
        state = replace(state, coefficients=chosen(coefficients, state.coefficients))
        if not self.params.redraw_every_slots:
            return state
        users_m, mean_gain = self.places.draw(self._places_rng.at(slot), self.replicas)
        return replace(state, users_m=chosen(users_m, state.users_m), mean_gain=chosen(mean_gain, state.mean_gain))

    def _ended(self, state: State) -> Ends | None:
        """An episode of one slot is over with it; longer ones are cut off, as the network would go on."""
        every = self.params.redraw_every_slots
        if not every:
            return None
        end = TERMINATED if every == 1 else TRUNCATED
        return np.where(state.age + 1 >= every, np.uint8(end), np.uint8(0))

    def _first_coefficients(self, rng: np.random.Generator) -> npt.NDArray[np.complex64]:
        """Of fading with memory; [E, 0] of other fading."""
        shape = self._links if self.params.fading == "jakes" else (self.replicas, 0)
        return np.asarray(fading.draw_single(rng, shape), np.complex64)
