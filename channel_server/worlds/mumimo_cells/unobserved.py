"""For the locality test: states that differ in everything one base station cannot measure."""

from dataclasses import replace

import numpy as np

from channel_server.worlds.mumimo_cells.physics import CellsState


def mix(state: CellsState, other: CellsState, view: str, node: int) -> CellsState:
    """`other` with what `node` measures of `state` in `view` put back."""
    gain, own, cost = other.gain.copy(), other.own.copy(), other.cost.copy()
    spent, rate = other.spent.copy(), other.rate.copy()
    users = np.arange(cost.shape[2])
    gain[:, :, node, users, node, users] = state.gain[:, :, node, users, node, users]  # by the pilots of its users
    cost[:, node], spent[:, node] = state.cost[:, node], state.spent[:, node]
    if view == "experience":
        own[:, :, node], rate[:, node] = state.own[:, :, node], state.rate[:, node]
    return replace(other, own=own, gain=gain, cost=cost, spent=spent, rate=rate)
