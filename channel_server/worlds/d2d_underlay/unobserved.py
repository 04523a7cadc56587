"""For the locality test: states that differ in everything one pair cannot measure."""

import numpy as np
import numpy.typing as npt

from channel_server.worlds.d2d_underlay.physics import CellState, Reception
from channel_server.worlds.d2d_underlay.views import LAST_SLOT_VIEWS


def mix(state: CellState, other: CellState, view: str, node: int, measured: npt.NDArray[np.bool_]) -> CellState:
    """`other` with what `node` measures of `state` in `view` put back. `measured` [links]."""
    gain = np.where(measured, state.gain, other.gain)
    coefficients = np.where(measured, state.fading, other.fading) if state.fading.size else state.fading
    last = _with_own(other.last, state.last, node) if view in LAST_SLOT_VIEWS else other.last
    trial = _with_own(other.trial, state.trial, node) if view == "probe" else other.trial
    return CellState(gain, coefficients, last, trial)


def _with_own(other: Reception, own: Reception, node: int) -> Reception:
    """`other` with one pair's own measurements of `own`."""
    rb, interference, own_sinr = other.rb.copy(), other.interference_w.copy(), other.sinr.copy()
    rb[:, node], interference[:, node] = own.rb[:, node], own.interference_w[:, node]
    own_sinr[:, node] = own.sinr[:, node]
    return Reception(rb, interference, own_sinr, other.cue_sinr)
