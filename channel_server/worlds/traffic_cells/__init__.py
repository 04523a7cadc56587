"""zhang2025's cellular network: APs give subbands and powers to devices with queues of packets (section II-C).

    g_{k->n,h}(t) = alpha_{k->n} |beta_{k->n,h}(t)|^2                                              eq. (11)
    beta(t) = rho beta(t-1) + sqrt(1 - rho^2) e(t),  rho = J0(2 pi f T)
    C_{n,h} = log2(1 + g_{b_n->n,h} p_{n,h} / (sum over other APs of g p + sigma^2)), SINR capped  eq. (12)
    q_n(t) = max(0, q_n(t-1) + Y_n(t) L - T sum_h W C_{n,h})                                       eq. (15)
    reward of AP k = -(sum of q over its devices and its neighbours'), in packets of L bits        eq. (9, 10)

One device per AP and subband. Packets are served first in, first out; a packet's delay ends with its last bit, counted
in whole slots. Arrivals come at the beginning of a slot and are Poisson. An AP whose device has nothing to receive is
silent on that subband.

Not modelled: shadowing, mobility, uplink, wraparound (cells at the edge have fewer neighbours).

Deviations from the text:
1. Doppler, neighbour rule, SINR cap, smallest power, minimum distance, loads and the bound of queues are not in it, but
   in the authors' program.
2. The random drop follows their program, too (`drop`), but for the minimum distance, which it has in hexagons only.
3. Their program counts the part of the last slot that a packet takes; here a delay is whole slots.
4. Rewards are in packets of L bits, fractions included: the text has bits, their program whole packets.

Modules: `params`, `drop` (places, neighbours), `physics` (eq. 11, 12, 15), `views` (what an AP measures), `results`
(rewards, metrics), `drawing`, `unobserved` (for the locality test), and `world`, which puts them together.
"""

from channel_server.worlds.contract import WorldEntry
from channel_server.worlds.traffic_cells.params import TrafficCells, check
from channel_server.worlds.traffic_cells.physics import CellsState
from channel_server.worlds.traffic_cells.world import Cells

__all__ = ["WORLD", "Cells", "CellsState", "TrafficCells", "build"]


def build(params: TrafficCells, *, seed: int, replicas: int) -> Cells:
    """The network. ValueError for parameters that are impossible together."""
    check(params)
    return Cells(params, seed, replicas)


def memory_bytes(params: TrafficCells, replicas: int) -> int:
    """Fading of every link from AP to device, complex, in a few copies while it is drawn, and gains; rings of packets
    up to 16 in a queue, of which longer queues take more."""
    cells = 1 + 3 * params.rings * (params.rings + 1)
    devices = cells * params.devices_per_cell
    links = params.subbands * cells * devices
    return replicas * (56 * links + 600 * devices) + 100 * cells * devices + 2**20


WORLD = WorldEntry(
    name="traffic_cells",
    summary="19 cells, 57 devices: access points give subbands and powers to devices with queues of packets",
    source="zhang2025 II-C, eq. (11)-(18), fig. 6, table I",
    params=TrafficCells,
    build=build,
    memory_bytes=memory_bytes,
)
