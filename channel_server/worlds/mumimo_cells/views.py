"""What a base station measures, by view: the spaces of the records, and how they are filled from the state."""

from collections.abc import Mapping

import numpy as np

from channel_server.radio import zero_forcing
from channel_server.worlds.mumimo_cells.params import MuMimoCells
from channel_server.worlds.mumimo_cells.physics import CellsPhysics, CellsState
from protocol.messages.spaces import Field, Records, Space

MATRICES = ("h_re", "h_im", "w_re", "w_im")


class Views:
    """`spaces`: the record of each view, the same for all base stations."""

    def __init__(self, params: MuMimoCells, physics: CellsPhysics, replicas: int) -> None:
        self._params, self._physics, self._replicas = params, physics, replicas
        self.spaces: Mapping[str, Space] = view_spaces(params)

    def measure(self, state: CellsState, view: str) -> list[Records]:
        """Every base station's measurement, [B] of records [E]. KeyError for an unknown view."""
        records = np.zeros((self._params.cells, self._replicas), self.spaces[view].dtype)  # [B, E]
        records["cost"] = state.cost.swapaxes(0, 1)
        records["quiet_cost"] = self._physics.quiet_costs(state.gain).swapaxes(0, 1)
        records["budget"] = self._physics.budget(state).T
        if view == "experience":
            records["rate"] = state.rate.T
            if self._params.observation == "full":
                _fill_matrices(records, state)
        return list(records)


def view_spaces(params: MuMimoCells) -> dict[str, Space]:
    """The record of every view."""
    by_channel, matrix = (params.users, params.channels), (params.channels, params.antennas, params.users)
    local = (
        # interference plus noise over the own gain, as the last probe of this slot found it or, before the first, as
        # `carry` has it
        Field("cost", "f4", by_channel, "noise", low=0),
        Field("quiet_cost", "f4", by_channel, "noise", low=0),  # the same without interference, by pilots
        Field("budget", "f4", (), "noise", low=0),  # a user's power in this slot
    )
    rate = Field("rate", "f4", (), "bit/s/Hz", low=0)  # of the cell in the previous slot
    matrices = [Field(name, "f4", matrix) for name in MATRICES] if params.observation == "full" else []
    return {"costs": Space(local), "experience": Space((*local, rate, *matrices))}  # S_b, eq. (17)


def action_space(params: MuMimoCells) -> Space:
    """By user the share of its power that each channel gets; what lies above 1 in total is scaled down."""
    return Space((Field("share", "f4", (params.users, params.channels), low=0, high=1),))


def _fill_matrices(records: Records, state: CellsState) -> None:
    beamformers = zero_forcing.beamformers(state.own)
    for name, matrix in (("h", state.own), ("w", beamformers)):
        by_cell = np.moveaxis(matrix, 2, 0)  # [B, E, F, M, U]
        records[f"{name}_re"], records[f"{name}_im"] = by_cell.real, by_cell.imag
