"""A slot of the cells: powers within the budget (eq. 5), costs (eq. 7), rates (eq. 6), metrics.

Powers are in units of the noise, whose variance is 1, and so are costs c: interference plus noise over the own gain.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from channel_server.radio import zero_forcing
from channel_server.radio.decibels import Floats
from channel_server.radio.fading import Coefficients
from channel_server.worlds.contract import Metric, SlotOutcome
from channel_server.worlds.mumimo_cells.params import MuMimoCells
from protocol.messages.spaces import Records

METRICS = (
    Metric("reward_total", "bit/s/Hz", "sum rate of all cells over their channels, per slot, eq. (19)"),
    Metric("cell_rate_bps_hz", "bit/s/Hz", "sum rate of a cell over its channels (fig. 5-7, 9)"),
    Metric("user_rate_bps_hz", "bit/s/Hz", "rate of a user over its channels (fig. 8)"),
    Metric("net_cell_rate_bps_hz", "bit/s/Hz", "sum rate of a cell in the airtime that the probes of the slot leave"),
    Metric("probe_airtime", "1", "share of a slot that its probes take"),
    Metric("power_change", "1", "share of a user's power that moved to other channels since the last probe"),
    Metric("power_spent", "1", "radiated power over the budget of the slot"),
)
_NOISE = 1.0
_MAX_COST = 1e30  # of a user with nearly no gain; single precision still has it


@dataclass(frozen=True)
class CellsState:
    """One slot. Indices: replica E, channel F, cell B, antenna M, user U; `gain` by sender, then receiver.

    `power`, `rate`: of the last transmission. `trial`: the powers that were on the air when `cost` was measured.
    """

    own: Coefficients  # [E, F, B, M, U], H_b, eq. (4)
    gain: Floats  # [E, F, B, U, B, U], |w^H h|^2
    power: Floats  # [E, B, U, F]
    rate: Floats  # [E, B], sum over users and channels
    trial: Floats  # [E, B, U, F]
    cost: Floats  # [E, B, U, F], c, eq. (7)
    probes: npt.NDArray[np.int64]  # [E], of this slot
    spent: Floats  # [E, B], of the budget, before this slot
    elapsed: npt.NDArray[np.int64]  # [E], slots of the budget before this one


class CellsPhysics:
    """Eq. (5)-(7) for all replicas at once."""

    def __init__(self, params: MuMimoCells) -> None:
        self._params = params
        self._total_budget = params.mean_power * params.users * params.budget_slots  # of a BS

    def budget(self, state: CellsState) -> Floats:
        """P_b(t) / U, a user's power in this slot, [E, B]: eq. (5)."""
        slots_left = np.maximum(self._params.budget_slots - state.elapsed, 1)  # 0 between the last slot and `begin`
        left = np.maximum(self._total_budget - state.spent, 0.0)  # rounding may leave less than nothing
        return np.asarray(left / (slots_left[:, None] * self._params.users))

    def powers(self, state: CellsState, actions: Sequence[Records]) -> Floats:
        """Actions as powers [E, B, U, F]; shares of a user that sum to more than 1 are scaled down to 1."""
        share = np.stack([action["share"] for action in actions], axis=1).astype(np.float64)  # [E, B, U, F]
        share /= np.maximum(share.sum(axis=-1, keepdims=True), 1.0)
        return np.asarray(share * self.budget(state)[..., None, None])

    def costs(self, gain: Floats, powers: Floats) -> Floats:
        """c [E, B, U, F] while these powers [E, B, U, F] are on the air: eq. (7)."""
        by_channel = np.moveaxis(powers, -1, 1)  # [E, F, B, U]
        costs = np.moveaxis(zero_forcing.costs_w(gain, by_channel, _NOISE), 1, -1)
        return np.minimum(costs, _MAX_COST)

    def quiet_costs(self, gain: Floats) -> Floats:
        """c [E, B, U, F] without interference."""
        own = np.einsum("...bubu->...bu", gain)  # [E, F, B, U]
        return np.asarray(np.minimum(np.moveaxis(_NOISE / own, 1, -1), _MAX_COST))

    def rates(self, gain: Floats, powers: Floats) -> Floats:
        """Rate of every user on every channel in bit/s/Hz, [E, B, U, F]: eq. (6)."""
        return np.asarray(np.log2(1.0 + powers / self.costs(gain, powers)))

    def outcome(self, state: CellsState, powers: Floats, rate: Floats) -> SlotOutcome:
        """Rewards, eq. (18), and METRICS. `rate` [E, B]."""
        e, b = rate.shape
        users = e * b * self._params.users
        airtime = np.minimum(self._params.probe_share * state.probes, 1.0)  # [E]
        moved = np.abs(powers - state.trial).sum(axis=-1) / 2  # [E, B, U]
        budget = self.budget(state)[..., None]  # [E, B, 1]
        probed = state.probes[:, None, None] > 0
        change = np.where(probed, moved, 0.0) / np.maximum(budget, np.finfo(float).tiny)
        sums = [
            rate.sum(),
            rate.sum(),
            rate.sum(),
            (rate * (1 - airtime)[:, None]).sum(),
            airtime.sum(),
            change.sum(),
            powers.sum(),
        ]
        counts = [e, e * b, users, e * b, e, users, float(budget.sum()) * self._params.users]
        return SlotOutcome(rate.T, np.array(sums, float), np.array(counts, float))
