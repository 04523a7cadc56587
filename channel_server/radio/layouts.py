"""Where base stations stand: hexagonal cells, with or without wraparound, and grids. Coordinates in metres, [..., 2].

A hexagonal network of `rings` rings around the centre has 3 r (r + 1) + 1 cells: 1, 7, 19, 37. Sites stand `spacing_m`
apart; a cell's circumradius is spacing / sqrt(3).

With wraparound the network continues in copies of itself, so that no cell lies at an edge: a distance is that to the
nearest copy. The copies' shifts are the vector (r + 1) a + r b of the lattice of sites (a, b of length `spacing_m`, 60
degrees apart) and its five turns by 60 degrees; its square, 3 r (r + 1) + 1 times the spacing's, makes the copies tile.
"""

import numpy as np
import numpy.typing as npt

from channel_server.radio.decibels import Floats
from channel_server.radio.geometry import distances_m

Complex = npt.NDArray[np.complex128]

_SIXTHS: Complex = np.exp(1j * np.pi / 3 * np.arange(6))  # turns by 60 degrees, as complex factors


def hexagonal_m(rings: int, spacing_m: float) -> Floats:
    """Sites [B, 2], the centre first, then ring by ring from the x axis on, anticlockwise."""
    sites: list[Complex] = [np.zeros(1, np.complex128)]
    for ring in range(1, rings + 1):
        corner, onwards = ring * _SIXTHS, np.roll(_SIXTHS, -2)  # from corner to corner
        sites.append((corner[:, None] + np.arange(ring) * onwards[:, None]).reshape(-1))
    return _plane(spacing_m * np.concatenate(sites))


def wraparound_shifts_m(rings: int, spacing_m: float) -> Floats:
    """Shifts of the network and its six copies around it, [7, 2], the network's own (0, 0) first."""
    around: Complex = ((rings + 1) * _SIXTHS[0] + rings * _SIXTHS[1]) * _SIXTHS
    shifts: Complex = np.concatenate([np.zeros(1), around])
    return _plane(spacing_m * shifts)


def wrapped_distances_m(origins_m: Floats, targets_m: Floats, shifts_m: Floats) -> Floats:
    """As `geometry.distances_m`, [E, n, 2] and [E, m, 2] to [E, n, m], each to the nearest of the targets' copies."""
    copies_m = targets_m[..., None, :, :] + shifts_m[:, None, :]  # [E, 7, m, 2]
    return np.asarray(distances_m(origins_m[..., None, :, :], copies_m).min(axis=-3))


def uniform_in_hexagon_m(uniform: Floats, spacing_m: float) -> Floats:
    """Points uniform over the area of a cell around the origin; `uniform`: numbers of [0, 1), [..., 2]. In m, [..., 2].

    The cell is three rhombi that meet in its centre: the first number chooses one and goes on as a coordinate in it.
    """
    rhombus, along = np.divmod(3 * uniform[..., 0], 1.0)
    corners = 1j * _SIXTHS[[0, 2, 4]]  # every other corner of the cell; the edges face the neighbours' sites
    side, other_side = corners[rhombus.astype(int)], corners[(rhombus.astype(int) + 1) % 3]
    return _plane(spacing_m / np.sqrt(3) * (along * side + uniform[..., 1] * other_side))


def grid_m(rows: int, columns: int, spacing_m: float) -> Floats:
    """Sites of a square grid around the origin, [rows * columns, 2], row by row from the lowest y."""
    y, x = np.divmod(np.arange(rows * columns), columns)
    return spacing_m * np.stack([x - (columns - 1) / 2, y - (rows - 1) / 2], axis=-1)


def _plane(points: Complex) -> Floats:
    return np.stack([points.real, points.imag], axis=-1)
