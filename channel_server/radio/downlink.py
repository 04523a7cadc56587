"""Downlink of B cells with K users each that share one band (khan2020, the sum rate R of sec. II)."""

from functools import cache

import numpy as np

from channel_server.radio.decibels import Floats
from channel_server.radio.sinr import sinr, spectral_efficiency_bps_hz


def received_w(gains: Floats, powers_w: Floats) -> tuple[Floats, Floats]:
    """Own signal and interference at each user, [E, B, K] each, in W.

    `gains` [E, B (tx), B, K (rx)]: from each BS to user k of each cell, linear. `powers_w` [E, B, K]: of BS b for its
    user k. What a BS sends its other users interferes, too.
    """
    cells, users = powers_w.shape[-2:]
    own = np.einsum("...bbk->...bk", gains)
    others_w = powers_w @ _others(users)  # summed, not subtracted: nothing cancels beside a strong signal
    from_other_cells = gains * _others(cells)[..., None]
    inter_w = np.einsum("...b,...bck->...ck", powers_w.sum(axis=-1), from_other_cells)
    return own * powers_w, own * others_w + inter_w


@cache
def _others(n: int) -> Floats:
    """1 off the diagonal, [n, n]; not to be written to."""
    return 1 - np.eye(n)


def rates_bps_hz(gains: Floats, powers_w: Floats, noise_w: float) -> Floats:
    """Spectral efficiency of each user, [E, B, K]; their sum is R. Arguments as for `received_w`."""
    signal_w, interference_w = received_w(gains, powers_w)
    return spectral_efficiency_bps_hz(sinr(signal_w, interference_w, noise_w))
