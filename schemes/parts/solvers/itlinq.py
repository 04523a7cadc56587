"""Information-theoretic link scheduling: ITLinQ and Fair-ITLinQ (naderializadeh2014).

All links at full power; they are asked one after another in a given order. Link j joins if, for every link i that has
joined,

    INR_ij <= M SNR_j^eta    at j's receiver,    and    INR_ji <= bound_j    at i's receiver

with bound_j = M SNR_j^eta. Fair-ITLinQ keeps strong links from crowding out the weak: bound_j = Mbar SNR_j^etabar where
SNR_j > SNR_th.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemes.parts.solvers.interference import Floats, Indices

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class FairBound:
    """The bound on what a link of high SNR may cause: `factor` Mbar, `exponent` etabar, `min_snr` SNR_th, linear."""

    factor: float
    exponent: float
    min_snr: float


@dataclass(frozen=True)
class ItLinq:
    """`factor` M, linear; `exponent` eta; `fair` for Fair-ITLinQ."""

    factor: float
    exponent: float
    fair: FairBound | None = None

    def bounds(self, snr: Floats) -> tuple[Floats, Floats]:
        """The largest INR that a link accepts and that it may cause, linear, [..., L] each."""
        accepted = self.factor * snr**self.exponent
        if self.fair is None:
            return accepted, accepted
        return accepted, np.where(snr > self.fair.min_snr, self.fair.factor * snr**self.fair.exponent, accepted)


def schedule(inr: Floats, order: Indices, rule: ItLinq, *, barred: Flags | None = None) -> Flags:
    """The links that transmit, [E, L].

    `inr`: received power over noise at full power [E, L (tx), L (rx)], linear; the diagonal is the SNR. `order` [E, L]:
    each replica's links in the order in which they are asked. `barred` [E, L]: links that are not to join, such as
    those without traffic.
    """
    replica = np.arange(len(order))
    accepted, caused = rule.bounds(np.diagonal(inr, axis1=1, axis2=2))  # [E, L]
    excluded = (inr > accepted[:, None, :]) | (inr > caused[:, :, None]).swapaxes(1, 2)  # [E, i, j]: i active, j not
    open_to_join = np.ones(order.shape, bool) if barred is None else ~barred
    active = np.zeros(order.shape, bool)
    for asked in order.T:  # [E]
        joins = open_to_join[replica, asked]
        active[replica, asked] = joins
        open_to_join &= ~(excluded[replica, asked] & joins[:, None])
    return active
