"""A slot's transmission: interference and SINR at every receiver (eq. 1, 2), then rewards and metrics (eq. 5-7)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from channel_server.radio.decibels import Floats
from channel_server.radio.fading import Coefficients
from channel_server.radio.links import Links
from channel_server.radio.sinr import (
    at_channel,
    occupancy,
    per_channel,
    received_w,
    sinr,
    spectral_efficiency_bps_hz,
)
from channel_server.worlds.contract import Metric, SlotOutcome
from channel_server.worlds.d2d_underlay.link_budget import CellLinkBudget
from channel_server.worlds.d2d_underlay.params import D2DUnderlay
from protocol.messages.spaces import Records

METRICS = (
    Metric("reward_total", "bit/s/Hz", "sum of all pairs' rewards, per slot (fig. 6)"),
    Metric("cellular_outage", "1", "share of CUEs below their threshold (fig. 7, 10)"),
    Metric("d2d_outage", "1", "share of pairs below their threshold, silent ones included (fig. 8, 10)"),
    Metric("d2d_sum_rate_bps_hz", "bit/s/Hz", "sum of log2(1 + SINR) over the pairs, per slot (fig. 9, 11)"),
    Metric("cellular_sum_rate_bps_hz", "bit/s/Hz", "sum of log2(1 + SINR) over the CUEs, per slot (fig. 11)"),
    Metric("penalised_pairs", "1", "share of pairs on an RB whose CUE is in outage: their reward is r_neg"),
)


@dataclass(frozen=True)
class Reception:
    """The result of a transmission, or of a trial of one, at the receivers."""

    rb: npt.NDArray[np.int16]  # [E, N], -1 for silence
    interference_w: Floats  # [E, N, K] at the pairs' receivers: other pairs and the BS, without noise
    sinr: Floats  # [E, N], 0 for silence
    cue_sinr: Floats  # [E, K]


@dataclass(frozen=True)
class CellState:
    """One slot. `last`: the transmission of the previous slot; `trial`: the last probe of this slot."""

    gain: Floats  # [E, links], linear, fading included
    fading: Coefficients  # [E, links], or [E, 0] without memory
    last: Reception
    trial: Reception


class CellPhysics:
    """Eq. (1, 2, 5-7) for all replicas at once."""

    def __init__(self, params: D2DUnderlay, budget: CellLinkBudget, links: Links, replicas: int) -> None:
        self._params, self._budget, self._links, self._replicas = params, budget, links, replicas

    def nothing(self) -> Reception:
        """No transmission so far: all silent, interference reads the noise power."""
        e, n, k = self._replicas, self._params.pairs, self._params.rbs
        noise_w = np.full((e, n, k), self._budget.noise_w)
        return Reception(np.full((e, n), -1, np.int16), noise_w, np.zeros((e, n)), np.zeros((e, k)))

    def transmit(self, gains: Floats, actions: Sequence[Records]) -> Reception:
        """All pairs act at once. `gains` [E, links]; `actions`: records [E] by pair."""
        rb, power_w = self._parse(actions)  # [E, N]
        gain = {name: self._links.group(gains, name) for name in self._links.shapes}
        budget, occupied = self._budget, occupancy(rb, self._params.rbs)
        received = received_w(gain["d2d"], power_w, rb)  # [E, tx, rx]
        own = np.arange(self._params.pairs)
        signal = received[:, own, own]  # [E, N]
        received[:, own, own] = 0.0
        interference = per_channel(received, occupied) + budget.bs_power_w * gain["bs_rx"]  # [E, N, K]
        at_cue = (occupied * power_w[..., None] * gain["cue"]).sum(axis=1)  # [E, K]
        return Reception(
            rb=rb,
            interference_w=interference,
            sinr=sinr(signal, at_channel(interference, rb), budget.noise_w),  # eq. (2)
            cue_sinr=sinr(budget.bs_power_w * gain["bs_cue"], at_cue, budget.noise_w),  # eq. (1)
        )

    def outcome(self, after: Reception) -> SlotOutcome:
        """Rewards, eq. (5-7), and METRICS."""
        rate, cue_rate = spectral_efficiency_bps_hz(after.sinr), spectral_efficiency_bps_hz(after.cue_sinr)
        blocked = self.blocked(after)
        rewards = np.where(blocked, self._params.negative_reward, rate)  # [E, N], eq. (6, 7); silent pairs: rate 0
        e, n, k = self._replicas, self._params.pairs, self._params.rbs
        sums = [
            rewards.sum(),
            np.count_nonzero(after.cue_sinr < self._budget.cue_threshold),
            np.count_nonzero(after.sinr < self._budget.d2d_threshold),
            rate.sum(),
            cue_rate.sum(),
            np.count_nonzero(blocked),
        ]
        return SlotOutcome(rewards.T, np.array(sums, float), np.array([e, e * k, e * n, e, e, e * n], float))

    def blocked(self, after: Reception) -> npt.NDArray[np.bool_]:
        """Whether the CUE on a pair's RB is in outage, [E, N]; False for a silent pair."""
        replica = np.arange(self._replicas)[:, None]
        cue_sinr = after.cue_sinr[replica, np.maximum(after.rb, 0)]
        return (cue_sinr < self._budget.cue_threshold) & (after.rb >= 0)

    def _parse(self, actions: Sequence[Records]) -> tuple[npt.NDArray[np.int16], Floats]:
        """RB [E, N] and transmit power in W [E, N]."""
        encoded = b"".join([action.tobytes() for action in actions])  # numpy is slow at joining records
        records = np.frombuffer(encoded, actions[0].dtype).reshape(len(actions), self._replicas).T
        rb = np.ascontiguousarray(records["rb"])
        if self._params.power_levels == 1:
            return rb, np.broadcast_to(self._budget.d2d_powers_w[0], rb.shape)
        return rb, self._budget.d2d_powers_w[records["power"]]
