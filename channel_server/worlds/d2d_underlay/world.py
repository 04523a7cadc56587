"""The world: li2020's cell slot by slot."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np

from channel_server.radio import fading
from channel_server.radio.decibels import Floats
from channel_server.radio.sinr import spectral_efficiency_bps_hz
from channel_server.worlds.contract import InfrastructureNote, InfrastructureReport, Metric, SlotOutcome
from channel_server.worlds.d2d_underlay.drawing import Cell, draw
from channel_server.worlds.d2d_underlay.geometry import CellGeometry
from channel_server.worlds.d2d_underlay.link_budget import CellLinkBudget, typical_db
from channel_server.worlds.d2d_underlay.params import D2DUnderlay
from channel_server.worlds.d2d_underlay.physics import METRICS, CellPhysics, CellState, Reception
from channel_server.worlds.d2d_underlay.reports import cue_csi_notes, outage_notes, reports
from channel_server.worlds.d2d_underlay.signalling import SignallingRadio
from channel_server.worlds.d2d_underlay.unobserved import mix
from channel_server.worlds.d2d_underlay.views import Views, action_space
from protocol.determinism.rng import CounterRng
from protocol.determinism.snapshots import fields_of
from protocol.messages.drawing import Drawing
from protocol.messages.episodes import Mask
from protocol.messages.kinds import CloudLink, LinkClass
from protocol.messages.spaces import Records, Space


class D2DCell:
    """Positions and mean gains are fixed by the seed; a CellState holds the rest."""

    agent_link: LinkClass = LinkClass.SIDELINK
    cloud_link: CloudLink = "radio"
    metrics: Sequence[Metric] = METRICS

    def __init__(self, params: D2DUnderlay, seed: int, replicas: int) -> None:
        self.params, self.replicas = params, replicas
        self.agents: Sequence[str] = tuple(f"pair-{i}" for i in range(params.pairs))
        self.infrastructure: Sequence[str] = ("bs", *(f"cue-{m}" for m in range(params.rbs)))
        self.signalling_band_hz, self.slot_s = params.rbs * params.rb_width_hz, params.slot_s
        self.geometry = CellGeometry(params, CounterRng(seed, "drop"), replicas)
        self._budget = CellLinkBudget.of(params)
        self._views = Views(params, self._budget, self.geometry, replicas)
        self._physics = CellPhysics(params, self._budget, self.geometry.links, replicas)
        self._signalling = SignallingRadio(self.geometry.links, self._budget, params.pairs)
        self.views: Mapping[str, Sequence[Space]] = {
            view: (space,) * params.pairs for view, space in self._views.spaces.items()
        }
        self.actions: Sequence[Space] = (action_space(params),) * params.pairs
        self.reports: Mapping[str, InfrastructureReport] = reports(params)
        self._fading = CounterRng(seed, "fading")
        self._prefetched: tuple[int, Floats] | None = None

    @cached_property
    def _nothing(self) -> Reception:
        return self._physics.nothing()

    def reset(self) -> CellState:
        """Nothing has been transmitted."""
        start = self._draw_coefficients(self._fading.at(0, turn=1))
        return CellState(self.geometry.mean_gain, start, self._nothing, self._nothing)

    def begin(self, state: CellState, slot: int, restart: Mask | None = None) -> CellState:
        """New fading, independent of past actions; in a new episode, of past fading too. Positions stay."""
        if self.params.fading == "none":
            return replace(state, trial=self._nothing)
        rho = self.params.fading_correlation
        if rho == 0:
            return replace(state, gain=self._gain_at(slot), trial=self._nothing)
        before = state.fading
        if restart is not None:
            before = np.where(restart[:, None], self._draw_coefficients(self._fading.at(slot, turn=1)), before)
        coefficients = fading.step(before, rho, self._fading.at(slot))
        gain = self.geometry.mean_gain * fading.power(coefficients)
        return CellState(gain, coefficients, state.last, self._nothing)

    def prefetch(self, slot: int) -> None:
        """Draw the gains of a slot ahead; fading without memory depends on the position alone."""
        if self.params.fading == "rayleigh" and self.params.fading_correlation == 0:
            self._prefetched = (slot, self._gain_at(slot))

    def transmit(self, state: CellState, actions: Sequence[Records]) -> tuple[CellState, SlotOutcome]:
        """SINR of pairs and CUEs, rewards, metrics; the state keeps what the receivers measured."""
        after = self._physics.transmit(state.gain, actions)
        return replace(state, last=after), self._physics.outcome(after)

    def probe(self, state: CellState, actions: Sequence[Records]) -> CellState:
        """A trial of these actions, which the view `probe` then shows; `last` and the outcome stay untouched."""
        return replace(state, trial=self._physics.transmit(state.gain, actions))

    def measure(self, state: CellState, view: str, nodes: Sequence[int] | None = None) -> list[Records]:
        """The measurements of these pairs; `views` of this package gives fields and units of each view."""
        return self._views.measure(state, view, nodes)

    def report(self, state: CellState, name: str) -> list[InfrastructureNote]:
        """`outage`: a bit from the BS to each pair. `cue_csi`: each CUE's gains to the trainer."""
        match name:
            case "outage":
                return outage_notes(self._physics.blocked(state.last))
            case "cue_csi":
                group = self.geometry.links.group
                return cue_csi_notes(group(state.gain, "cue"), group(state.gain, "bs_cue"))
            case _:
                raise KeyError(name)

    def neighbours(self, state: CellState) -> Sequence[tuple[int, ...]]:
        """The pairs whose transmitters lie nearest in replica 0, because one broadcast serves all replicas."""
        return self.geometry.neighbours

    def signalling_bps_hz(self, state: CellState, source: int, receivers: tuple[int, ...], link: LinkClass) -> float:
        """Spectral efficiency of a signalling link: `signalling` of this package."""
        return self._signalling.bps_hz(state.gain, source, receivers, link)

    def render(self, state: CellState) -> Drawing:
        """Of the last transmission each pair's RB and rate, and which CUEs and pairs are below their threshold."""
        last, geometry = state.last, self.geometry
        return draw(
            Cell(
                self.params.radius_m,
                geometry.cue_m[0],
                geometry.tx_m[0],
                geometry.rx_m[0],
                last.rb[0].tolist(),
                spectral_efficiency_bps_hz(last.sinr[0]).tolist(),
                (last.sinr[0] < self._budget.d2d_threshold).tolist(),
                spectral_efficiency_bps_hz(last.cue_sinr[0]).tolist(),
                (last.cue_sinr[0] < self._budget.cue_threshold).tolist(),
            )
        )

    def static_info(self, node: int) -> dict[str, Any]:
        """Constants of the cell, nothing of the drop; the BS/cloud also knows which pairs are near each other.

        `typical_db`: mean and standard deviation over drops of an observation's fields, to standardise them with.
        """
        params, budget = self.params, self._budget
        drop = {"nearest": self.geometry.pairs_by_distance} if node == params.pairs else {}
        return drop | {
            "pairs": params.pairs,
            "rbs": params.rbs,
            "observation": params.observation,
            "d2d_powers_w": budget.d2d_powers_w.tolist(),  # by level
            "bs_power_w": budget.bs_power_w,  # on each RB
            "noise_w": budget.noise_w,
            "cue_threshold": budget.cue_threshold,  # linear
            "d2d_threshold": budget.d2d_threshold,  # linear
            "negative_reward": params.negative_reward,
            "typical_db": typical_db(params, budget),
        }

    def privileged_info(self) -> dict[str, Any]:
        """The drop: mean power gains, linear; to a pair's receiver they are the same on all RBs.

        `mean_d2d` [E, tx, rx], `mean_cue` [E, tx, RB], `mean_bs_rx` [E, rx], `mean_bs_cue` [E, RB].
        """
        mean = {name: self.geometry.links.group(self.geometry.mean_gain, name) for name in self.geometry.links.shapes}
        return {
            "fading": self.params.fading,
            "mean_d2d": mean["d2d"][:, :, 0].tolist(),
            "mean_cue": mean["cue"].tolist(),
            "mean_bs_rx": mean["bs_rx"][:, :, 0].tolist(),
            "mean_bs_cue": mean["bs_cue"].tolist(),
        }

    def silent(self, node: int) -> Records:
        """RB -1."""
        records = self.actions[node].empty(self.replicas)
        records["rb"] = -1
        return records

    def random(self, node: int, rng: np.random.Generator) -> Records:
        """A uniform RB, and a uniform power level where there are several."""
        records = self.actions[node].empty(self.replicas)
        for field in self.actions[node].fields:
            low, high = max(0, int(field.low or 0)), int(field.high or 0)
            records[field.name] = rng.integers(low, high + 1, self.replicas)
        return records

    def resample_unobserved(self, state: CellState, view: str, node: int, rng: np.random.Generator) -> CellState:
        """Another state in which `node` measures the same in `view`: random actions, a random trial, new fading."""
        gain, coefficients = self._faded(rng), self._draw_coefficients(rng)
        last, trial = (self._random_reception(gain, rng) for _ in range(2))
        other = CellState(gain, coefficients, last, trial)
        return mix(state, other, view, node, self._views.measured_links(view, node))

    def snapshot(self, state: CellState) -> dict[str, Any]:
        """The state as nested dicts of arrays; the positions follow from the seed."""
        return fields_of(state)

    def restore(self, data: dict[str, Any]) -> CellState:
        """The inverse of `snapshot`."""
        return CellState(data["gain"], data["fading"], Reception(**data["last"]), Reception(**data["trial"]))

    def _gain_at(self, slot: int) -> Floats:
        if self._prefetched is not None and self._prefetched[0] == slot:
            return self._prefetched[1]
        return self._faded(self._fading.at(slot))

    def _faded(self, rng: np.random.Generator) -> Floats:
        """Mean gains times fading without memory, [E, links]."""
        return self.geometry.mean_gain * fading.draw_power(rng, self.geometry.mean_gain.shape)

    def _draw_coefficients(self, rng: np.random.Generator) -> fading.Coefficients:
        """Fading coefficients [E, links], or [E, 0] without memory."""
        memory = self.geometry.links.size if self.params.fading_correlation > 0 else 0
        return fading.draw_coefficients(rng, (self.replicas, memory))

    def _random_reception(self, gain: Floats, rng: np.random.Generator) -> Reception:
        return self._physics.transmit(gain, [self.random(n, rng) for n in range(self.params.pairs)])
