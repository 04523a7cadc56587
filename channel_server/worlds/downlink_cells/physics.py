"""A slot's transmission: powers to rates, rewards and metrics (khan2020, sec. II)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from channel_server.radio.decibels import Floats
from channel_server.radio.downlink import received_w
from channel_server.radio.sinr import sinr, spectral_efficiency_bps_hz
from channel_server.worlds.contract import REWARD_METRIC, Metric, SlotOutcome
from channel_server.worlds.downlink_cells.params import DownlinkCells
from protocol.messages.episodes import Ends
from protocol.messages.spaces import Records

METRICS = (
    Metric(REWARD_METRIC, "bit/s/Hz", "sum rate R of the network, eq. (1a): the sum of the BSs' rewards"),
    Metric("sum_rate_mbps", "Mbit/s", "R times the bandwidth, as the figures count"),
    Metric("radiated_w", "W", "power of all BSs together"),
    Metric("mbit_per_joule", "Mbit/J", "bits received per energy radiated"),
)


@dataclass(frozen=True)
class Reception:
    """The last slot's transmission, [E, B, K] each: what users were sent, and what they received."""

    powers_w: Floats
    interference_w: Floats  # from all other signals, without noise
    rate_bps_hz: Floats


class Physics:
    """Sum rates of all replicas at once."""

    def __init__(self, params: DownlinkCells, replicas: int) -> None:
        self._params, self._replicas = params, replicas

    def nothing(self) -> Reception:
        """No transmission so far."""
        shape = (self._replicas, self._params.cells, self._params.users)
        return Reception(*(np.zeros(shape) for _ in range(3)))

    def transmit(self, gain: Floats, actions: Sequence[Records]) -> Reception:
        """All BSs at once. `gain` [E, B (tx), B, K]; `actions`: records [E] by BS."""
        params = self._params
        powers_w = np.stack([action["power_w"] for action in actions], axis=1).astype(float)  # [E, B, K]
        if params.power_budget == "per_bs":
            sums_w = powers_w.sum(axis=2, keepdims=True)
            powers_w *= params.max_power_w / np.maximum(sums_w, params.max_power_w)
        if params.interference == "all":
            signal_w, interference_w = received_w(gain, powers_w)
            rate = spectral_efficiency_bps_hz(sinr(signal_w, interference_w, params.noise_w))
            return Reception(powers_w, interference_w, rate)
        # each of the K subbands has one user of every cell, a K-th of the noise, and counts for a K-th of the band
        by_band_w = powers_w.swapaxes(1, 2)[..., None]  # [E, K, B, 1]
        by_band_gain = gain.transpose(0, 3, 1, 2)[..., None]  # [E, K, B (tx), B, 1]
        signal_w, interference_w = (x[..., 0].swapaxes(1, 2) for x in received_w(by_band_gain, by_band_w))
        rate = spectral_efficiency_bps_hz(sinr(signal_w, interference_w, params.noise_w / params.users)) / params.users
        return Reception(powers_w, interference_w, rate)

    def outcome(self, after: Reception, ended: Ends | None) -> SlotOutcome:
        """Rewards [B, E] and METRICS."""
        params, e = self._params, float(self._replicas)
        rewards = after.rate_bps_hz.sum(axis=2)  # [E, B]
        total, radiated_w = float(rewards.sum()), float(after.powers_w.sum())
        mbit = total * params.bandwidth_hz / 1e6
        sums = np.array([total, mbit, radiated_w, mbit])  # per second; so are the joules
        return SlotOutcome(rewards.T, sums, np.array([e, e, e, radiated_w]), ended)
