"""The radio of signalling links (ours, not the paper's), for budgets of bits that follow the spectral efficiency.

Notes cross a band of their own, as wide as the K RBs, without interference, with the RBs' gains of this slot, the same
in both directions, and the noise of a UE. The sender uses its full power on each RB; a CUE's, which the paper does not
need, is a pair's:

    sidelink, pair i to j   log2(1 + Pd g[t_i, r_j] / sigma^2), mean over RBs
    uplink, pair i          log2(1 + Pd g[b, t_i] / sigma^2), mean over RBs     CUE m: log2(1 + Pd g[b, c_m] / sigma^2)
    downlink, to pair i     log2(1 + Pb g[b, t_i] / sigma^2), mean over RBs
"""

from channel_server.radio.decibels import Floats
from channel_server.radio.links import Links
from channel_server.radio.sinr import spectral_efficiency_bps_hz
from channel_server.worlds.d2d_underlay.link_budget import CellLinkBudget
from protocol.messages.kinds import LinkClass


class SignallingRadio:
    """Spectral efficiencies of signalling links."""

    def __init__(self, links: Links, budget: CellLinkBudget, pairs: int) -> None:
        self._links, self._budget, self._pairs = links, budget, pairs

    def bps_hz(self, gains: Floats, source: int, receivers: tuple[int, ...], link: LinkClass) -> float:
        """Mean over RBs and replicas, of the worst receiver. `gains` [E, links]. ValueError for the backhaul."""
        power_w = self._budget.bs_power_w if link == LinkClass.DOWNLINK else self._budget.d2d_powers_w[0]
        snr = self._gain(gains, source, list(receivers), link) * power_w / self._budget.noise_w
        return float(spectral_efficiency_bps_hz(snr).mean(axis=(0, 2)).min())

    def _gain(self, gains: Floats, source: int, receivers: list[int], link: LinkClass) -> Floats:
        """[E, receivers, RBs]"""
        match link:
            case LinkClass.SIDELINK:
                return self._links.group(gains, "d2d")[:, source, :, receivers].swapaxes(0, 1)
            case LinkClass.DOWNLINK:
                return self._links.group(gains, "bs_tx")[:, receivers]
            case LinkClass.UPLINK if source < self._pairs:
                return self._links.group(gains, "bs_tx")[:, [source]]
            case LinkClass.UPLINK:
                cue = source - self._pairs - 2  # after the trainer and the BS
                return self._links.group(gains, "bs_cue")[:, [cue], None]
            case _:
                raise ValueError(f"a {link.name.lower()} is no radio: give it bits_per_slot")
