"""A slot's transmission: powers, interference, spectral efficiency (eq. 12) and service of the queues (eq. 15).

Arrays by device are [E, H, N]. A device hears every AP; its own one serves it on a subband, or another device of its
cell, which then interferes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from channel_server.radio.fading import Coefficients, power
from channel_server.traffic.packets import PacketQueues
from channel_server.worlds.traffic_cells.drop import Drop
from channel_server.worlds.traffic_cells.params import RadioBudget, TrafficCells
from protocol.messages.spaces import Records

Singles = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Reception:
    """A transmission at the devices, [E, H, N] each: the gain from the own AP, its power for the device in W,
    interference plus noise in W, spectral efficiency in bit/s/Hz."""

    gain: Singles
    power_w: Singles
    interference_w: Singles
    efficiency: Singles


@dataclass(frozen=True)
class CellsState:
    """One slot. `fading` [E, H, K, N] from each AP to each device, [E, 0, K, N] without fading; `queues` after
    arrivals, `arrived` [E, N] packets; of the slot before, `left_bits` [E, N] q_n at its end and `last`, its
    transmission."""

    fading: Coefficients
    queues: PacketQueues
    arrived: Indices
    left_bits: Indices
    last: Reception


class CellsPhysics:
    """Eq. (11), (12) and (15) for all replicas at once."""

    def __init__(self, params: TrafficCells, budget: RadioBudget, drop: Drop, replicas: int) -> None:
        self._params, self._budget, self._drop, self._replicas = params, budget, drop, replicas
        self._powers_w = np.concatenate([[0.0], budget.powers_w]).astype(np.float32)  # of silence, then by level
        self._first = np.array([own.start for own in drop.own])  # [K]

    @cached_property
    def _mean_gain(self) -> Singles:
        """[K, N], with the mean power of the fading."""
        scale = 1.0 if self._params.fading == "none" else self._budget.fading_power
        return (scale * self._drop.path_gain).astype(np.float32)

    @cached_property
    def _serving(self) -> tuple[Indices, Indices]:
        return self._drop.cell, np.arange(len(self._drop.cell))

    @cached_property
    def _from_others(self) -> Singles:
        """[K, N], 0 from the own AP: interference summed without the own signal, beside which it would lose digits."""
        gain = self._mean_gain.copy()
        gain[self._serving] = 0.0
        return gain

    def gains(self, fading: Coefficients) -> Singles:
        """g of eq. (11) from every AP to every device, [E, H, K, N], linear."""
        return np.asarray(self._fade(fading) * self._mean_gain)

    def own_gains(self, fading: Coefficients) -> Singles:
        """g from the own AP, [E, H, N]."""
        return np.asarray(self._fade(fading)[..., *self._serving] * self._mean_gain[self._serving])

    def silence(self, fading: Coefficients) -> Reception:
        """Nobody transmits."""
        gain = self.own_gains(fading)
        none = np.zeros_like(gain)
        return Reception(gain, none, np.full_like(gain, self._budget.noise_w), none)

    def transmit(self, fading: Coefficients, waiting_bits: Indices, actions: Sequence[Records]) -> Reception:
        """All APs act at once; one whose chosen device has nothing to receive is silent there (authors' code)."""
        device, radiated_w = self._radiated(waiting_bits, actions)  # [E, H, K]
        fade = self._fade(fading)
        interference_w = (radiated_w[..., None, :] @ (fade * self._from_others))[..., 0, :]  # [E, H, N]
        gain = fade[..., *self._serving] * self._mean_gain[self._serving]
        power_w = np.where(
            device[..., self._drop.cell] == np.arange(len(self._drop.cell)), radiated_w[..., self._drop.cell], 0
        ).astype(np.float32)
        interference_w += gain * (radiated_w[..., self._drop.cell] - power_w)  # of the own AP's other devices
        interference_w += np.float32(self._budget.noise_w)
        sinr = np.minimum(gain * power_w / interference_w, np.float32(self._budget.max_sinr))
        return Reception(gain, power_w, interference_w, np.log2(1 + sinr))  # eq. (12)

    def bits(self, after: Reception) -> Indices:
        """What each device may receive in a slot, whole bits, [E, N]: T sum_h C W of eq. (15)."""
        per_subband = self._budget.subband_hz * self._params.slot_s
        bits: Indices = (after.efficiency.sum(axis=1, dtype=np.float64) * per_subband).astype(np.int64)
        return bits

    def _fade(self, fading: Coefficients) -> Singles:
        """|beta|^2, [E, H, K, N]."""
        if self._params.fading == "none":
            shape = (self._replicas, self._params.subbands, *self._mean_gain.shape)
            return np.broadcast_to(np.float32(1.0), shape)
        return power(fading).astype(np.float32, copy=False)

    def _radiated(self, waiting_bits: Indices, actions: Sequence[Records]) -> tuple[Indices, Singles]:
        """By AP and subband the device that is served, -1 for none, and the power for it in W, [E, H, K]."""
        encoded = b"".join([action.tobytes() for action in actions])  # numpy is slow at joining records
        records = np.frombuffer(encoded, actions[0].dtype).reshape(len(actions), self._replicas)  # [K, E]
        local = records["device"].transpose(1, 2, 0).astype(np.int64)  # [E, H, K]
        device = np.where(local > 0, self._first + local - 1, -1)
        has_bits = waiting_bits[np.arange(self._replicas)[:, None, None], device] > 0
        device = np.where(has_bits, device, -1)
        level = np.where(device >= 0, records["level"].transpose(1, 2, 0) + 1, 0)
        return device, self._powers_w[level]
