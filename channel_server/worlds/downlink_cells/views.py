"""What a BS measures, by view: the spaces of the records, and how they are filled from the state."""

from collections.abc import Mapping

import numpy as np

from channel_server.radio.decibels import Floats, to_db, to_dbm
from channel_server.worlds.downlink_cells.params import DownlinkCells
from channel_server.worlds.downlink_cells.physics import Reception
from protocol.messages.spaces import Field, Records, Space

_DB = 1000  # no gain and no power in dB or dBm lies outside -_DB .. _DB
SHOWS_CSI = ("csi", "experience")  # gains to all users
SHOWS_LAST = ("experience", "rates", "receivers")  # what the own users received in the last slot


def view_spaces(params: DownlinkCells) -> dict[str, Space]:
    """The record of every view. `rates` and what else users have received they report to their BS on its uplink, which
    the world does not model."""
    own = (params.users,)
    gain_db = Field("gain_db", "f4", (params.cells, params.users), "dB", -_DB, _DB)  # to user k of cell b, this slot
    rate = Field("rate_bps_hz", "f4", own, "bit/s/Hz", 0)  # of the own users in the previous slot
    power = Field("power_w", "f4", own, "W", 0)  # radiated in the previous slot
    return {
        "csi": Space((gain_db,)),
        "experience": Space((gain_db, power, rate)),
        "rates": Space((rate,)),
        "receivers": Space(
            (
                Field("own_gain_db", "f4", own, "dB", -_DB, _DB),  # this slot
                Field("received_dbm", "f4", own, "dBm", -_DB, _DB),  # interference and noise of the previous slot
                power,
                rate,
            )
        ),
    }


class Views:
    """`spaces`: the record of each view, the same for all BSs."""

    def __init__(self, params: DownlinkCells, replicas: int) -> None:
        self.spaces: Mapping[str, Space] = view_spaces(params)
        self._params, self._replicas = params, replicas

    def measure(self, view: str, gain: Floats, last: Reception) -> list[Records]:
        """Every BS's measurement, [B] of records [E]. KeyError for an unknown view."""
        space = self.spaces[view]
        records = np.zeros((self._params.cells, self._replicas), space.dtype)  # [B, E]
        for field in space.fields:
            records[field.name] = self._column(field.name, gain, last)
        return list(records)

    def _column(self, name: str, gain: Floats, last: Reception) -> Floats:
        """[B, E, ...]"""
        match name:
            case "gain_db":
                return to_db(gain).swapaxes(0, 1)
            case "own_gain_db":
                return to_db(np.einsum("ebbk->bek", gain))
            case "rate_bps_hz":
                return last.rate_bps_hz.swapaxes(0, 1)
            case "received_dbm":
                subbands = 1 if self._params.interference == "all" else self._params.users
                return to_dbm(last.interference_w + self._params.noise_w / subbands).swapaxes(0, 1)
            case _:
                return last.powers_w.swapaxes(0, 1)


def action_space(params: DownlinkCells) -> Space:
    """The power of each user."""
    # the bound as float32 rounds it, so that the largest power of an action is Pmax to the last bit of both
    return Space((Field("power_w", "f4", (params.users,), "W", 0.0, float(np.float32(params.max_power_w))),))
