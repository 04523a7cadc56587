"""The shape of khan2020: 3 cells with 2 users each on one band; a slot is an episode with places and fading of its own.

A BS measures the gains of its own downlinks; the reward is the sum rate of the network (sec. II).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmarks.cells.unused import UnusedParts
from channel_server.radio.decibels import Floats, to_db
from channel_server.radio.downlink import rates_bps_hz
from channel_server.radio.fading import draw_power
from channel_server.radio.geometry import distances_m, uniform_in_disc
from channel_server.radio.path_loss import BoundedPowerLaw
from channel_server.worlds.contract import Metric, SlotOutcome, WorldEntry
from protocol.determinism.rng import CounterRng
from protocol.messages.episodes import TERMINATED, Mask
from protocol.messages.spaces import Field, Records, Space

CELLS, USERS = 3, 2
MAX_POWER_W = 20.0  # 43 dBm
_RADIUS_M, _NOISE_W = 1000.0, 2e-11  # -77 dBm
_LOSS = BoundedPowerLaw(reference_m=0.392, exponent=3.76)
_SITES_M = np.sqrt(3) * _RADIUS_M * np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(0.75)]])


def draw_gains(rng: np.random.Generator, replicas: int) -> Floats:
    """Linear gains from each BS to each user of each cell, [E, B (tx), B, K], of users uniform in their cells."""
    users_m = uniform_in_disc(rng.random((replicas, CELLS, USERS, 2)), _RADIUS_M) + _SITES_M[:, None]
    apart_m = distances_m(_SITES_M[None], users_m.reshape(replicas, CELLS * USERS, 2))
    mean_gain = _LOSS.gain(apart_m).reshape(replicas, CELLS, CELLS, USERS)
    return mean_gain * draw_power(rng, mean_gain.shape)


def sum_rates_bps_hz(gains: Floats, powers_w: Floats) -> Floats:
    """Of each network, [E]; arguments as for `rates_bps_hz`."""
    return np.asarray(rates_bps_hz(gains, powers_w, _NOISE_W).sum((1, 2)))


@dataclass(frozen=True)
class Params:
    """None."""


class Redrawn(UnusedParts):
    """The state is the gains of the slot."""

    agents: Sequence[str] = tuple(f"bs-{b}" for b in range(CELLS))
    metrics: Sequence[Metric] = (Metric("sum_rate", "bit/s/Hz", "of the network"),)
    views: Mapping[str, Sequence[Space]] = {"csi": [Space((Field("gain_db", "f4", (CELLS, USERS)),))] * CELLS}
    actions: Sequence[Space] = [Space((Field("power_w", "f4", (USERS,), low=0.0, high=MAX_POWER_W),))] * CELLS

    def __init__(self, *, seed: int, replicas: int) -> None:
        self._replicas = replicas
        self._rng = CounterRng(seed, "redrawn")

    def reset(self) -> Floats:
        return np.ones((self._replicas, CELLS, CELLS, USERS))

    def begin(self, state: Floats, slot: int, restart: Mask | None = None) -> Floats:
        return draw_gains(self._rng.at(slot), self._replicas)

    def measure(self, state: Floats, view: str, nodes: Sequence[int] | None = None) -> Sequence[Records]:
        gains_db, asked = to_db(state).astype(np.float32), range(CELLS) if nodes is None else nodes
        return [gains_db[:, b].reshape(-1).view(self.views[view][b].dtype) for b in asked]

    def neighbours(self, state: Floats) -> Sequence[tuple[int, ...]]:
        return tuple(tuple(c for c in range(CELLS) if c != b) for b in range(CELLS))

    def transmit(self, state: Floats, actions: Sequence[Records]) -> tuple[Floats, SlotOutcome]:
        powers_w = np.stack([action["power_w"] for action in actions], axis=1).astype(float)  # [E, B, K]
        rates = sum_rates_bps_hz(state, powers_w)
        rewards = np.broadcast_to(rates, (CELLS, self._replicas))
        ended = np.full(self._replicas, TERMINATED, np.uint8)
        return state, SlotOutcome(rewards, rates.sum()[None], np.array([float(self._replicas)]), ended)


def build(params: Params, *, seed: int, replicas: int) -> Redrawn:  # noqa: ARG001
    return Redrawn(seed=seed, replicas=replicas)


WORLD = WorldEntry(
    name="benchmark_redrawn",
    summary="3 cells with 2 users, drawn anew in each slot",
    source="khan2020, sec. II",
    params=Params,
    build=build,
    memory_bytes=lambda _, replicas: 10_000 * replicas + 2**20,
)
