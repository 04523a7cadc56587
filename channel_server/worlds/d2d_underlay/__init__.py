"""li2020's cell: D2D pairs pick resource blocks (RB) that a downlink cell uses at the same time.

One BS at the centre, K cellular users (CUE), CUE m on RB m; N pairs, each on one RB per slot or silent.

    xi_c[k] = Pb g[b, c_k] / (sum over pairs n on RB k of Pd g[t_n, c_k] + sigma^2)                          eq. (1)
    xi_d[n] = Pd g[t_n, r_n] / (Pb g[b, r_n] + sum over other pairs i on its RB of Pd g[t_i, r_n] + sigma^2)  eq. (2)
    reward  = log2(1 + xi_d) if the CUE on its RB has xi_c >= threshold, else r_neg; silent: 0              eq. (5-7)

Not modelled: mobility, shadowing, the uplink, several RBs per pair or per CUE.

One module per part: `params`, `link_budget` (decibels to linear), `geometry` (drop and mean gains), `physics` (eq.
1-7), `views` (what a pair measures), `reports` (notes of the BS and the CUEs), `signalling` (the radio of notes),
`unobserved` (for the locality test) and `world`, which puts them together.
"""

from channel_server.worlds.contract import WorldEntry
from channel_server.worlds.d2d_underlay.params import D2DUnderlay, check
from channel_server.worlds.d2d_underlay.physics import CellState
from channel_server.worlds.d2d_underlay.world import D2DCell

__all__ = ["WORLD", "CellState", "D2DCell", "D2DUnderlay", "build"]


def build(params: D2DUnderlay, *, seed: int, replicas: int) -> D2DCell:
    """The cell. ValueError for parameters that are impossible together."""
    check(params)
    return D2DCell(params, seed, replicas)


def memory_bytes(params: D2DUnderlay, replicas: int) -> int:
    """Gains of every link in 8 bytes: the mean, this slot's, the next slot's, and one array that is being computed.
    Fading with memory keeps complex coefficients as well, and draws them as pairs of normal numbers."""
    n, k = params.pairs, params.rbs
    links = n * k * n + 3 * n * k + k  # as in CellGeometry
    arrays = 11 if params.fading_correlation > 0 else 4
    positions, distances = 200 * (n + k), 64 * n * n
    return replicas * (8 * arrays * links + positions) + distances + 2**20


WORLD = WorldEntry(
    name="d2d_underlay",
    summary="one cell whose downlink resource blocks are shared by D2D pairs",
    source="li2020, eq. (1-7), table II",
    params=D2DUnderlay,
    build=build,
    memory_bytes=memory_bytes,
)
