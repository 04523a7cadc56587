"""Zero-forcing in each cell and on each channel, and what is left between cells (wong2021 eq. 3, 4, 7).

Channels `h` [E, F, B (tx), M, B (rx), U]: from the M antennas of a BS to user u of a cell, on channel f, complex.
"""

import numpy as np

from channel_server.radio.decibels import Floats
from channel_server.radio.fading import Coefficients


def beamformers(own: Coefficients) -> Coefficients:
    """W = H (H^H H)^-1 with its columns scaled to norm 1, eq. (3): H [..., M, U] to W [..., M, U], U <= M.

    By H = Q R as W = Q R^-H, so that the condition of H is not squared.
    """
    q, r = np.linalg.qr(own)
    w: Coefficients = q @ np.linalg.inv(r).conj().swapaxes(-1, -2)
    return np.asarray(w / np.linalg.norm(w, axis=-2, keepdims=True), np.complex128)


def own_channels(h: Coefficients) -> Coefficients:
    """H_b [E, F, B, M, U], eq. (4): from each BS to its own users."""
    own: Coefficients = np.einsum("...bmbu->...bmu", h)
    return own


def gains(h: Coefficients, w: Coefficients) -> Floats:
    """|w^H h|^2 [E, F, B (tx), U, B (rx), U]: what each user receives of each stream, per W. w [E, F, B, M, U].

    Within a cell it is zero but for rounding between different users.
    """
    *lead, cells, antennas, _, users = h.shape
    through = w.conj().swapaxes(-1, -2) @ h.reshape(*lead, cells, antennas, cells * users)  # [E, F, B, U, B U]
    return (through.real**2 + through.imag**2).reshape(*lead, cells, users, cells, users)


def costs_w(gains: Floats, powers_w: Floats, noise_w: float) -> Floats:
    """c [E, F, B, U] in W, eq. (7): inter-cell interference plus noise over the own gain. powers [E, F, B, U]."""
    cells = powers_w.shape[-2]
    from_cell_w = np.einsum("...bv,...bvcu->...bcu", powers_w, gains)  # [E, F, B (tx), B, U]
    inter_w = np.einsum("...bcu,bc->...cu", from_cell_w, 1 - np.eye(cells))
    return np.asarray((inter_w + noise_w) / np.einsum("...bubu->...bu", gains))
