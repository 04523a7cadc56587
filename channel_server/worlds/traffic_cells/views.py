"""What an AP measures of its devices, by view."""

from collections.abc import Sequence
from typing import Any

import numpy.typing as npt

from channel_server.radio.decibels import to_db
from channel_server.worlds.traffic_cells.drop import Drop
from channel_server.worlds.traffic_cells.params import RadioBudget, TrafficCells
from channel_server.worlds.traffic_cells.physics import CellsPhysics, CellsState
from protocol.messages.spaces import Field, Records, Space

_DB = 1000  # no gain and no power in dB or dBm lies outside -_DB .. _DB


class Views:
    """`queues`: bits that wait after the arrivals, and those that were left of the slot before. `local`: these and, of
    the slot before, what eq. (18) has. `csi`: this slot's gains from every AP to the own devices, and what waits."""

    def __init__(self, physics: CellsPhysics, params: TrafficCells, drop: Drop, replicas: int) -> None:
        self._physics, self._drop, self._replicas = physics, drop, replicas
        cells, subbands = len(drop.own), params.subbands
        self.spaces = {
            "queues": [Space(_queues(n)) for n in drop.counts],
            "local": [Space((*_queues(n), *_receptions(n, subbands))) for n in drop.counts],
            "csi": [Space((_waiting(n), _csi(n, cells, subbands))) for n in drop.counts],
        }

    def measure(self, state: CellsState, view: str) -> list[Records]:
        """Each AP's measurement, [K] of records [E]. KeyError for an unknown view."""
        records = [space.empty(self._replicas) for space in self.spaces[view]]
        waiting_bits = state.queues.waiting_bits
        for record, own in zip(records, self._drop.own, strict=True):
            record["waiting_bits"] = waiting_bits[:, own]
        if view == "csi":
            self._fill(records, "gain_db", to_db(self._physics.gains(state.fading)))
            return records
        for record, own in zip(records, self._drop.own, strict=True):
            record["left_bits"] = state.left_bits[:, own]
        if view == "local":
            last = state.last
            self._fill(records, "gain_db", to_db(last.gain))
            self._fill(records, "power_w", last.power_w)
            self._fill(records, "interference_dbm", to_db(last.interference_w) + 30)
            self._fill(records, "efficiency_bps_hz", last.efficiency)
        return records

    def _fill(self, records: Sequence[Records], name: str, values: npt.NDArray[Any]) -> None:
        """[E, H, N] or [E, H, K, N] into each record's field, [E, n_own, H] or [E, n_own, K, H]."""
        by_device = values.transpose(0, *range(values.ndim - 1, 0, -1))
        for record, own in zip(records, self._drop.own, strict=True):
            record[name] = by_device[:, own]


def action_space(n_own: int, params: TrafficCells, budget: RadioBudget) -> Space:
    """By subband, a device and a power level (eq. 13, 14)."""
    shape = (params.subbands,)
    return Space(
        (
            Field("device", "i1", shape, "0 none, else local index from 1", low=0, high=n_own),
            Field("level", "i1", shape, "of powers_w, 0 the smallest", low=0, high=len(budget.powers_w) - 1),
        )
    )


def _waiting(n_own: int) -> Field:
    return Field("waiting_bits", "i8", (n_own,), "bit, after arrivals: zeta", low=0)


def _queues(n_own: int) -> tuple[Field, ...]:
    return _waiting(n_own), Field("left_bits", "i8", (n_own,), "bit, at the end of the last slot: q", low=0)


def _receptions(n_own: int, subbands: int) -> tuple[Field, ...]:
    """All of the last slot."""
    shape = (n_own, subbands)
    return (
        Field("gain_db", "f4", shape, "dB, from the own AP", low=-_DB, high=_DB),
        Field("power_w", "f4", shape, "W, the own AP's for the device", low=0),
        Field("interference_dbm", "f4", shape, "dBm, interference plus noise", low=-_DB, high=_DB),
        Field("efficiency_bps_hz", "f4", shape, "bit/s/Hz, 0 without power", low=0),
    )


def _csi(n_own: int, cells: int, subbands: int) -> Field:
    return Field("gain_db", "f4", (n_own, cells, subbands), "dB, from each AP, this slot", low=-_DB, high=_DB)
