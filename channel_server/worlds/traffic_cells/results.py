"""Rewards (eq. 9, 10), metrics, and the delays of delivered packets."""

import numpy as np
import numpy.typing as npt

from channel_server.traffic.packets import Delivered
from channel_server.worlds.contract import Distribution, Metric, SlotOutcome
from channel_server.worlds.traffic_cells.drop import Drop
from channel_server.worlds.traffic_cells.params import TrafficCells
from channel_server.worlds.traffic_cells.physics import Reception
from protocol.messages.episodes import TRUNCATED, Ends

METRICS = (
    Metric("delay_ms", "ms", "mean delay of a delivered packet; a slot when delivered in the slot of its arrival"),
    Metric("queue_packets", "packets", "mean queue of a device at the end of a slot, in bits over the packet length"),
    Metric("arrived_packets", "packets/slot", "arrivals in the whole network"),
    Metric("delivered_packets", "packets/slot", "packets whose last bit went through, in the whole network"),
    Metric("delivered_mbit", "Mbit/slot", "bits delivered in the whole network"),
    Metric("spectral_efficiency_bps_hz", "bit/s/Hz", "sum of C over the devices, mean over subbands, eq. (12)"),
    Metric("transmissions", "1/slot", "pairs of device and subband that are served in the whole network"),
    Metric("energy_j", "J/slot", "radiated by all APs"),
    Metric("reward_total", "packets", "sum of the APs' rewards per slot, eq. (10), in bits over the packet length"),
)


def distributions(params: TrafficCells) -> tuple[Distribution, ...]:
    """The delay of delivered packets, counted in slots."""
    return (Distribution("delay_ms", "ms", 1e3 * params.slot_s, "delay of a delivered packet"),)


class Results:
    """What a slot's transmission comes to."""

    def __init__(self, params: TrafficCells, drop: Drop, replicas: int) -> None:
        self._params, self._replicas = params, replicas
        cells = np.arange(len(drop.own))
        self._by_cell = (drop.cell[:, None] == cells).astype(float)  # [N, K]
        self._around = _around(drop)

    def outcome(self, after: Reception, arrived: int, served: Delivered) -> SlotOutcome:
        """`arrived`: packets of this slot, of all replicas."""
        left_packets = served.queues.waiting_bits / self._params.packet_bits  # [E, N]
        rewards = -(left_packets @ self._by_cell @ self._around).T  # [K, E], eq. (9, 10)
        params, replicas = self._params, self._replicas
        delivered, efficiency = len(served.delays_slots), float(after.efficiency.sum())
        sums = [
            1e3 * params.slot_s * float(served.delays_slots.sum()),
            left_packets.sum(),
            arrived,
            delivered,
            served.bits.sum() / 1e6,
            efficiency / params.subbands,
            np.count_nonzero(after.power_w),
            params.slot_s * float(after.power_w.sum(dtype=np.float64)),
            rewards.sum(),
        ]
        counts = [delivered, left_packets.size, *[replicas] * (len(METRICS) - 2)]
        delays = np.bincount(served.delays_slots)
        return SlotOutcome(rewards, np.array(sums, float), np.array(counts, float), self._ended(served), (delays,))

    def _ended(self, served: Delivered) -> Ends | None:
        """TRUNCATED in the replicas in which a queue has passed the bound, [E]."""
        if (bound := self._params.queue_bound) is None:
            return None
        return np.where((served.queues.packets > bound).any(axis=1), np.uint8(TRUNCATED), np.uint8(0))


def _around(drop: Drop) -> npt.NDArray[np.float64]:
    """1 where two APs are neighbours or the same, [K, K]: C(k) of eq. (10)."""
    near = np.eye(len(drop.own))
    for k, others in enumerate(drop.neighbours):
        near[k, list(others)] = 1.0
    return near
