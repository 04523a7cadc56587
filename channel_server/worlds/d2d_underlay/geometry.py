"""The drop: positions of CUEs and pairs, the mean gain of every link, and which pairs are near each other."""

from functools import cached_property

import numpy as np

from channel_server.radio.decibels import Floats
from channel_server.radio.geometry import by_distance, distances_m, nearest, uniform_in_disc
from channel_server.radio.links import Links
from channel_server.worlds.d2d_underlay.link_budget import path_losses
from channel_server.worlds.d2d_underlay.params import D2DUnderlay
from protocol.determinism.rng import CounterRng


class CellGeometry:
    """Fixed by the seed for a whole run; replicas are different drops.

    `links` packs the linear power gain of every link into one array [E, links]. Its groups: `d2d` [tx, RB, rx] from a
    pair's transmitter to a pair's receiver; `cue` [tx, RB] from a pair's transmitter to the CUE that owns the RB; in
    the downlink `bs_rx` [pair, RB] to a pair's receiver, `bs_tx` [pair, RB] to its transmitter, `bs_cue` [RB] to the
    CUE that owns the RB. There is one CUE per RB, so K counts both.
    """

    def __init__(self, params: D2DUnderlay, rng: CounterRng, replicas: int) -> None:
        self._params, n, k = params, params.pairs, params.rbs
        uniform = rng.at(0).random((replicas, k + 2 * n, 2))
        self.cue_m = uniform_in_disc(uniform[:, :k], params.radius_m)  # [E, K, 2]
        self.tx_m = uniform_in_disc(uniform[:, k : k + n], params.radius_m)  # [E, N, 2]
        self.rx_m = self.tx_m + uniform_in_disc(uniform[:, k + n :], params.max_pair_distance_m)  # [E, N, 2]
        self.links = Links(d2d=(n, k, n), cue=(n, k), bs_rx=(n, k), bs_tx=(n, k), bs_cue=(k,))
        # Neighbours are part of the protocol, and messages are common to all replicas: replica 0 decides.
        tx_distance_m = distances_m(self.tx_m[0], self.tx_m[0])  # [N, N]
        self.neighbours = nearest(tx_distance_m, params.neighbours)
        self.pairs_by_distance = by_distance(tx_distance_m)

    def own(self, gain: Floats) -> Floats:
        """Each pair's own link on every RB: [E, links] to [E, N, K]."""
        return np.diagonal(self.links.group(gain, "d2d"), axis1=1, axis2=3).swapaxes(1, 2)

    @cached_property
    def mean_gain(self) -> Floats:
        """Of every link, [E, links], linear. Computed when a run begins: it is large, and checks need none of it."""
        n, k = self._params.pairs, self._params.rbs
        replicas = len(self.tx_m)
        bs_m = np.zeros((replicas, 1, 2))
        cellular, d2d = path_losses(self._params)
        per_rb = (replicas, n, k)  # path loss is equal on all RBs
        return self.links.pack(
            d2d=np.repeat(d2d.gain(distances_m(self.tx_m, self.rx_m))[:, :, None, :], k, axis=2),
            cue=d2d.gain(distances_m(self.tx_m, self.cue_m)),
            bs_rx=np.broadcast_to(cellular.gain(distances_m(self.rx_m, bs_m)), per_rb),
            bs_tx=np.broadcast_to(cellular.gain(distances_m(self.tx_m, bs_m)), per_rb),
            bs_cue=cellular.gain(distances_m(bs_m, self.cue_m))[:, 0],
        )
