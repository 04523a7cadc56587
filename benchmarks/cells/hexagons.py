"""The shape of zhang2025's world B: 19 hexagonal cells with wraparound, 3 devices each, 3 subbands, queues of packets.

An AP gives each subband to one of its devices, or none, at one of 5 powers. It measures, of each of its devices: the
bits that wait, and of the last slot gains, powers, interference and spectral efficiencies per subband (eq. 11 to 18).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmarks.cells.unused import UnusedParts
from channel_server.radio.decibels import Floats, to_db
from channel_server.radio.fading import Coefficients, draw_single, jakes_correlation, power, step
from channel_server.radio.layouts import (
    hexagonal_m,
    uniform_in_hexagon_m,
    wraparound_shifts_m,
    wrapped_distances_m,
)
from channel_server.radio.path_loss import PathLoss
from channel_server.traffic.packets import PacketQueues
from channel_server.worlds.contract import Metric, SlotOutcome, WorldEntry
from protocol.determinism.rng import CounterRng
from protocol.messages.episodes import Mask
from protocol.messages.spaces import Field, Records, Space

RINGS, CELLS, USERS, SUBBANDS = 2, 19, 3, 3
DEVICES = CELLS * USERS
POWERS_W = np.array([0.0, *10 ** (np.array([5.75, 11.5, 17.25, 23.0]) / 10 - 3)], np.float32)
_SPACING_M, _NOISE_W, _MAX_SINR = 500 * np.sqrt(3), 10**-14.4, 1000.0
_WIDTH_HZ, _SLOT_S, _PACKET_BITS, _LOAD_PER_SLOT = 20e6, 0.02, 500_000, 0.3
_CORRELATION = jakes_correlation(10.0, _SLOT_S)
_LOSS = PathLoss(128.1, 37.6, min_distance_m=35.0)
_SITES_M = hexagonal_m(RINGS, _SPACING_M)
_SHIFTS_M = wraparound_shifts_m(RINGS, _SPACING_M)
_APART_M = wrapped_distances_m(_SITES_M, _SITES_M, _SHIFTS_M)
NEAR = tuple(tuple(np.flatnonzero((row > 0) & (row < 1.1 * _SPACING_M)).tolist()) for row in _APART_M)

_EACH = (USERS, SUBBANDS)
_LOCAL = Space(
    (
        Field("waiting_bits", "f4", (USERS,)),
        *(Field(name, "f4", _EACH) for name in ("gain_db", "power_w", "interference_dbm", "efficiency_bps_hz")),
    )
)
LOCAL_FLOATS = USERS + 4 * USERS * SUBBANDS
_ACTION = Space(
    (
        Field("device", "i1", (SUBBANDS,), low=0, high=USERS),
        Field("level", "i1", (SUBBANDS,), low=0, high=len(POWERS_W) - 1),
    )
)


@dataclass(frozen=True)
class Params:
    """None."""


@dataclass(frozen=True)
class State:
    """`fading` [E, H, B, N]; `local` [E, B, LOCAL_FLOATS]: all that is measured, packed as the view's fields."""

    fading: Coefficients
    queues: PacketQueues
    local: npt.NDArray[np.float32]


class Network:
    """The physics: mean gains of drawn devices, [B, N], fading, queues."""

    def __init__(self, *, seed: int, replicas: int) -> None:
        self._replicas = replicas
        self._fading, self._arrivals = CounterRng(seed, "fading"), CounterRng(seed, "arrivals")
        uniform = CounterRng(seed, "places").at(0).random((CELLS, USERS, 2))
        devices_m = (_SITES_M[:, None] + uniform_in_hexagon_m(uniform, _SPACING_M)).reshape(DEVICES, 2)
        gain = _LOSS.gain(wrapped_distances_m(_SITES_M, devices_m, _SHIFTS_M))
        self._mean_gain = gain.astype(np.float32)
        self._own = np.repeat(np.arange(CELLS), USERS), np.arange(DEVICES)

    def first(self) -> State:
        fading = draw_single(self._fading.at(0, 1), (self._replicas, SUBBANDS, CELLS, DEVICES))
        queues = PacketQueues.empty(self._replicas, DEVICES, _PACKET_BITS)
        return State(fading, queues, np.zeros((self._replicas, CELLS, LOCAL_FLOATS), np.float32))

    def begin(self, state: State, slot: int) -> State:
        """A slot's fading and arrivals."""
        packets = self._arrivals.at(slot).poisson(_LOAD_PER_SLOT, state.queues.packets.shape)
        queues = state.queues.arrive(packets)
        local = state.local.copy()
        local[..., :USERS] = queues.waiting_bits.reshape(-1, CELLS, USERS)
        return State(step(state.fading, _CORRELATION, self._fading.at(slot)), queues, local)

    def serve(self, state: State, device: npt.NDArray[np.int8], level: npt.NDArray[np.int8]) -> tuple[State, Floats]:
        """`device`, `level` [E, B, H]; the state after, and the bits left [E, B, K]."""
        chosen = device[..., None, :] == np.arange(1, USERS + 1)[:, None]  # [E, B, K, H]
        power_w = chosen * POWERS_W[level][..., None, :]
        gain = power(state.fading) * self._mean_gain  # [E, H, B, N]
        radiated_w = power_w.sum(2).swapaxes(1, 2)  # [E, H, B]
        received_w = (radiated_w[..., None, :] @ gain)[..., 0, :]  # [E, H, N]
        own_gain = gain[:, :, self._own[0], self._own[1]]
        own_w = own_gain * np.repeat(radiated_w, USERS, axis=-1)
        interference_w = received_w - own_w + _NOISE_W
        signal_w = own_gain * power_w.reshape(-1, DEVICES, SUBBANDS).swapaxes(1, 2)
        efficiency = np.log2(1 + np.minimum(signal_w / interference_w, _MAX_SINR))  # eq. (12)
        served = state.queues.serve((efficiency.sum(1) * (_WIDTH_HZ * _SLOT_S)).astype(np.int64))
        seen = (to_db(own_gain), signal_w / own_gain, to_db(interference_w) + 30, efficiency)
        local = np.stack(seen, axis=-1).reshape(-1, SUBBANDS, CELLS, USERS, len(seen))
        packed = local.transpose(0, 2, 4, 3, 1).reshape(-1, CELLS, len(seen) * USERS * SUBBANDS)
        left = served.queues.waiting_bits.reshape(-1, CELLS, USERS)
        measured = np.concatenate([left, packed], axis=2, dtype=np.float32)
        return replace(state, queues=served.queues, local=measured), left.astype(float)


class Hexagons(UnusedParts):
    """The network as a world."""

    agents: Sequence[str] = tuple(f"ap-{b}" for b in range(CELLS))
    metrics: Sequence[Metric] = (Metric("waiting_bits", "bit", "of a device at the end of a slot"),)
    views: Mapping[str, Sequence[Space]] = {"local": [_LOCAL] * CELLS}
    actions: Sequence[Space] = [_ACTION] * CELLS

    def __init__(self, *, seed: int, replicas: int) -> None:
        self._replicas = replicas
        self._network = Network(seed=seed, replicas=replicas)

    def reset(self) -> State:
        return self._network.first()

    def begin(self, state: State, slot: int, restart: Mask | None = None) -> State:
        return self._network.begin(state, slot)

    def measure(self, state: State, view: str, nodes: Sequence[int] | None = None) -> Sequence[Records]:
        by_agent = np.ascontiguousarray(state.local.swapaxes(0, 1))  # [B, E, LOCAL_FLOATS]
        records = by_agent.reshape(CELLS, -1).view(_LOCAL.dtype)
        return list(records) if nodes is None else [records[node] for node in nodes]

    def neighbours(self, state: State) -> Sequence[tuple[int, ...]]:
        return NEAR

    def transmit(self, state: State, actions: Sequence[Records]) -> tuple[State, SlotOutcome]:
        device, level = (np.stack([action[name] for action in actions], axis=1) for name in ("device", "level"))
        state, left = self._network.serve(state, device, level)
        rewards = -left.sum(2).T / _PACKET_BITS
        return state, SlotOutcome(rewards, left.sum()[None], np.array([float(left.size)]))


def build(params: Params, *, seed: int, replicas: int) -> Hexagons:  # noqa: ARG001
    return Hexagons(seed=seed, replicas=replicas)


WORLD = WorldEntry(
    name="benchmark_hexagons",
    summary="19 cells with 3 devices, 3 subbands and queues",
    source="zhang2025, sec. II-C",
    params=Params,
    build=build,
    memory_bytes=lambda _, replicas: 500_000 * replicas + 2**20,
)
