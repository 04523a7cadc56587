"""The drop: positions of CUEs and pairs, the mean gain of every link, and which pairs are near each other."""

import numpy as np

from channel_server.radio.decibels import Floats
from channel_server.radio.geometry import by_distance, distances_m, nearest, uniform_in_disc
from channel_server.radio.links import Links
from channel_server.worlds.d2d_underlay.link_budget import path_losses
from channel_server.worlds.d2d_underlay.params import D2DUnderlay
from protocol.determinism.rng import CounterRng


class CellGeometry:
    """Fixed by the seed for a whole run; replicas are different drops.

    `links` packs every link's gain into one array [E, links]. Its groups, as seen from the transmitter: `d2d` [tx, RB,
    rx], `cue` [tx, RB] (CUE m listens on RB m alone), `bs_rx` and `bs_tx` [pair, RB] from the BS to a pair's receiver
    and transmitter, `bs_cue` [RB].
    """

    def __init__(self, params: D2DUnderlay, rng: CounterRng, replicas: int) -> None:
        n, k = params.pairs, params.rbs
        uniform = rng.at(0, 0).random((replicas, k + 2 * n, 2))
        self.cue_m = uniform_in_disc(uniform[:, :k], params.radius_m)  # [E, K, 2]
        self.tx_m = uniform_in_disc(uniform[:, k : k + n], params.radius_m)  # [E, N, 2]
        self.rx_m = self.tx_m + uniform_in_disc(uniform[:, k + n :], params.max_pair_distance_m)  # [E, N, 2]
        self.links = Links(d2d=(n, k, n), cue=(n, k), bs_rx=(n, k), bs_tx=(n, k), bs_cue=(k,))
        self.mean_gain = self._mean_gain(params, replicas)  # [E, links], linear
        between_m = distances_m(self.tx_m[0], self.tx_m[0])  # [N, N] of replica 0
        self.neighbours = nearest(between_m, params.neighbours)
        self.nearest = by_distance(between_m)

    def own(self, gain: Floats) -> Floats:
        """Each pair's own link on every RB: [E, links] to [E, N, K]."""
        return np.diagonal(self.links.group(gain, "d2d"), axis1=1, axis2=3).swapaxes(1, 2)

    def _mean_gain(self, params: D2DUnderlay, replicas: int) -> Floats:
        n, k = params.pairs, params.rbs
        bs_m = np.zeros((replicas, 1, 2))
        cellular, d2d = path_losses(params)
        by_rb = (replicas, n, k)
        return self.links.pack(
            d2d=np.repeat(d2d.gain(distances_m(self.tx_m, self.rx_m))[:, :, None, :], k, axis=2),
            cue=d2d.gain(distances_m(self.tx_m, self.cue_m)),
            bs_rx=np.broadcast_to(cellular.gain(distances_m(self.rx_m, bs_m)), by_rb),
            bs_tx=np.broadcast_to(cellular.gain(distances_m(self.tx_m, bs_m)), by_rb),
            bs_cue=cellular.gain(distances_m(bs_m, self.cue_m))[:, 0],
        )
