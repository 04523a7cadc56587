"""The weighted sum rate of links that share a band, and the limits on their powers.

    maximise    R(p) = sum_l w_l log2(1 + g_ll p_l / (1 + sum_{j != l} g_jl p_j))
    subject to  0 <= p_l <= max_w_l   and, if there are groups, sum of p over a group <= the group's limit

g_jl: linear gain from the transmitter of link j to the receiver of link l, over the noise power there, 1 / W.

Replicas E come first. Axes between them and the links are subbands: they interfere with nobody else, and only a group
limit ties them together. Subbands with limits of their own may as well be replicas: [E * H, L, L] for [E, H, L, L].
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]

_TINY = np.finfo(float).tiny
_TOLERANCE, _MAX_ITERATIONS = 1e-12, 100  # of a group's sum against its limit


@dataclass(frozen=True)
class GroupLimit:
    """Limits on sums of powers, such as those of a BS's users.

    `group`: the group 0 .. G - 1 of each power. [L]: each subband has its own sums. [H, L]: sums run over the subbands,
    too. `max_w`: the largest sum, one for all or [G], above 0.
    """

    group: Indices
    max_w: float | Floats

    @cached_property
    def members(self) -> Floats:
        """1 where a power is in a group, [powers, G]."""
        groups = int(self.group.max()) + 1
        return np.asarray(self.group.reshape(-1, 1) == np.arange(groups), np.float64)

    def sums(self, values: Floats) -> Floats:
        """Sum over each group: [..., L] or [..., H, L] to [..., G]."""
        flat = values.reshape(*values.shape[: -self.group.ndim], -1)
        return flat @ self.members

    def spread(self, by_group: Floats) -> Floats:
        """Each power's value of its group: [..., G] to [..., L] or [..., H, L]."""
        return by_group[..., self.group]


@dataclass(frozen=True)
class SumRateProblem:
    """`gains` over the noise power [E, ..., L, L], 1 / W; `weights` and `max_w` [E, ..., L]. Made by `of`."""

    gains: Floats
    weights: Floats
    max_w: Floats
    groups: GroupLimit | None = None

    @classmethod
    def of(
        cls,
        gains: Floats,
        noise_w: npt.ArrayLike,
        max_w: npt.ArrayLike,
        *,
        weights: npt.ArrayLike = 1.0,
        groups: GroupLimit | None = None,
    ) -> "SumRateProblem":
        """From linear gains [E, ..., L (tx), L (rx)]; noise, power limits and weights: one for all, [L] or [E, ..., L].

        Without noise a link alone would have no finite rate: `noise_w` is above 0.
        """
        links = gains.shape[:-1]
        noise_w = np.broadcast_to(np.asarray(noise_w, float), links)
        limits_w, weights = (np.broadcast_to(np.asarray(each, float), links) for each in (max_w, weights))
        return cls(gains / noise_w[..., None, :], weights, limits_w, groups)

    @cached_property
    def own(self) -> Floats:
        """Each link's own gain over noise, [E, ..., L]."""
        return np.ascontiguousarray(np.diagonal(self.gains, axis1=-2, axis2=-1))

    @cached_property
    def cross(self) -> Floats:
        """The gains over noise between different links, zero on the diagonal, [E, ..., L, L]."""
        # interference summed without the own signal: less a signal that is 1e16 times as strong, nothing would be left
        return self.gains * (1 - np.eye(self.gains.shape[-1]))

    def interference(self, powers_w: Floats) -> Floats:
        """Interference plus noise, over noise, at each link's receiver, [E, ..., L]."""
        return 1.0 + (powers_w[..., None, :] @ self.cross)[..., 0, :]

    def sinr(self, powers_w: Floats) -> Floats:
        """Signal over interference plus noise, linear, [E, ..., L]."""
        return self.own * powers_w / self.interference(powers_w)

    def sum_rate(self, powers_w: Floats) -> Floats:
        """R(p) of each replica in bit/s/Hz, [E]."""
        rates = self.weights * np.log1p(self.sinr(powers_w)) / np.log(2.0)
        return np.asarray(rates.reshape(len(rates), -1).sum(axis=1))

    def take(self, replicas: Indices) -> "SumRateProblem":
        """The problem of some replicas, in that order; one may come several times."""
        return SumRateProblem(self.gains[replicas], self.weights[replicas], self.max_w[replicas], self.groups)

    def within_limits(self, powers_w: Floats) -> Floats:
        """Powers cut to each link's limit, then scaled down in every group whose sum is too large."""
        powers_w = np.minimum(powers_w, self.max_w)
        if self.groups is None:
            return powers_w
        sums_w = self.groups.sums(powers_w)
        return powers_w * self.groups.spread(self.groups.max_w / np.maximum(sums_w, self.groups.max_w))

    def best_powers(self, amplitude: Floats, slope: Floats) -> Floats:
        """The powers that maximise sum_l 2 a_l sqrt(p_l) - b_l p_l within all limits: the last step of FP and of WMMSE.

        p_l = min(max_w_l, (a_l / (b_l + lambda))^2) with lambda >= 0 of the link's group, 0 unless the group's limit
        binds. `amplitude` a >= 0, `slope` b >= 0, not 0 where a is not: [E, ..., L].
        """
        powers_w = self._cut(amplitude, slope)
        if self.groups is None or (self.groups.sums(powers_w) <= self.groups.max_w).all():
            return powers_w
        return self._cut(amplitude, slope + self.groups.spread(self._multiplier(self.groups, amplitude, slope)))

    def _cut(self, amplitude: Floats, slope: Floats) -> Floats:
        """(a / b)^2, at most the link's limit; 0 where a is 0: a link that is silent or has no weight."""
        return np.minimum(np.square(amplitude / np.maximum(slope, _TINY)), self.max_w)

    def _multiplier(self, groups: GroupLimit, amplitude: Floats, slope: Floats) -> Floats:
        """lambda of each group, [E, ..., G]: a root of its sum of powers s(lambda) less its limit P.

        Newton's method on 1 / sqrt(s), which is nearly straight, within brackets that are halved where it leaves them.
        """
        limit_w = np.broadcast_to(groups.max_w, groups.sums(amplitude).shape)
        multiplier = low = np.zeros(limit_w.shape)
        # (a / (b + lambda))^2 <= (a / lambda)^2, so that at this lambda no sum exceeds its limit
        high = np.sqrt(groups.sums(np.square(amplitude)) / limit_w)
        for _ in range(_MAX_ITERATIONS):
            steeper = slope + groups.spread(multiplier)
            powers_w = self._cut(amplitude, steeper)
            sums_w = groups.sums(powers_w)
            over = sums_w > limit_w
            slack = ~over & (multiplier == 0)
            done = slack | (np.abs(sums_w - limit_w) <= _TOLERANCE * limit_w)
            if done.all():
                return multiplier
            low, high = np.where(over, multiplier, low), np.where(over, high, multiplier)
            falls_w = np.where(powers_w < self.max_w, powers_w / np.maximum(steeper, _TINY), 0.0)  # -p' / 2
            excess_w, slope_w = sums_w * (np.sqrt(sums_w / limit_w) - 1.0), groups.sums(falls_w)
            step = np.full_like(high, np.inf)
            # a longer step leaves the brackets, and its quotient may overflow
            np.divide(excess_w, slope_w, out=step, where=np.abs(excess_w) < slope_w * high)
            inside = (multiplier + step > low) & (multiplier + step < high)
            stepped = np.where(inside, multiplier + step, 0.5 * (low + high))
            multiplier = np.where(done, multiplier, stepped)
        return np.where(done, multiplier, high)


def downlink_links(gains: Floats) -> Floats:
    """Gains between the links of a cellular downlink: [E, ..., B (tx), B, K (rx)] to [E, ..., B K, B K].

    Link b K + k goes from BS b to its user k: all links of a BS have one transmitter, so that they interfere with each
    other, too (khan2020, the sum rate R). Groups for a limit on the sum power of a BS: `np.repeat(np.arange(B), K)`.
    """
    *lead, cells, _, users = gains.shape
    by_receiver = gains.reshape(*lead, cells, cells * users)
    return np.repeat(by_receiver, users, axis=-2)
