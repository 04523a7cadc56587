"""wong2021's cells: base stations with zero-forcing on frequency channels that all cells share.

B base stations of M antennas serve U <= M users each, all on every channel; a user's powers say which it takes.

    W_b[f] = H_b[f] (H_b[f]^H H_b[f])^-1, columns of norm 1                                      eq. (3), (4)
    P_b(t) = (Pbar_b - power spent in the slots before) / (T - t + 1), P_b(t) / U for each user          eq. (5)
    c_{b,u}[f] = (interference of the other cells + 1) / |w_{b,u}^H h_{b,(b,u)}|^2                       eq. (7)
    reward of a base station = sum over its users and channels of log2(1 + p / c)                    eq. (6, 18)

Channels are Rayleigh and constant in a block. Their mean gains are 1 inside a cell and 1 / SIR between cells; the noise
has variance 1 and is the unit of powers and costs. A probe turn is a trial transmission after which each base station
measures c at its own users: no note, but airtime, which net_cell_rate_bps_hz charges.

A budget follows a budget, without an end of the episode; a new episode has a new budget.

Not modelled: path loss and places, errors of channel estimates, scheduling of more users than antennas, how users
report what they measure to their own base station.

One module per part: `params`, `physics` (eq. 5-7, metrics), `views` (what a base station measures), `unobserved` (for
the locality test), `drawing` and `world`, which puts them together.
"""

from channel_server.worlds.contract import WorldEntry
from channel_server.worlds.mumimo_cells.params import MuMimoCells, check
from channel_server.worlds.mumimo_cells.physics import CellsState
from channel_server.worlds.mumimo_cells.world import Cells

__all__ = ["WORLD", "Cells", "CellsState", "MuMimoCells", "build"]


def build(params: MuMimoCells, *, seed: int, replicas: int) -> Cells:
    """The cells. ValueError for parameters that are impossible together."""
    check(params)
    return Cells(params, seed, replicas)


def memory_bytes(params: MuMimoCells, replicas: int) -> int:
    """Channels from all base stations to all users while they are drawn, and their gains in two states."""
    b, m, u, f = params.cells, params.antennas, params.users, params.channels
    channels, gains, powers = f * b * m * b * u, f * (b * u) ** 2, b * u * f
    own = f * b * m * u
    records = 2 * 16 * own if params.observation == "full" else 0
    return replicas * (16 * channels + 60 * gains + 16 * 5 * own + records + 150 * powers) + 2**20


WORLD = WorldEntry(
    name="mumimo_cells",
    summary="multi-antenna cells that share frequency channels: zero-forcing inside, interference between",
    source="wong2021, eq. (1)-(7), (18), (19), (23)",
    params=MuMimoCells,
    build=build,
    memory_bytes=memory_bytes,
)
