"""The best rules of pairs that know their own link alone: expected rewards in closed form, one pair's rule at a time.

With Rayleigh fading that is new in every slot, what a pair has seen before is no help. What it knows of RB k is its own
gain g[k] and, with `bs_gain`, the BS's gain b[k] at its receiver. Given the others' rules, its expected reward on RB k
depends on these alone, so its best rule is an index:

    argmax_k F_k(g[k], b[k]) - e_k                                  e_k: what the others lose if it takes RB k

With the goal `own_reward` e_k is 0: rules that no pair can improve are a Nash equilibrium. With `total` each new rule
raises the expected total reward, and rules that no pair can improve are a local optimum of it.

The expectation, with powers over the noise: as ln(1 + S / (1 + I)) = int_0^inf exp(-z) / z (1 - exp(-z S)) exp(-z I) dz
(hamdi2010), and as fading is independent and p_j is the share of slots in which pair j takes RB k, pair i has there

    E[served exp(-z I)] = s a_i exp(-z b) prod_{j != i} (1 - p_j + p_j a_j / (1 + z c_ji))
    s   = exp(-threshold / cue_bs)                served, xi_c >= threshold in li2020 eq. (5): the BS's link to the CUE
    a_j = 1 / (1 + threshold cue_j / cue_bs)      and j's
    c_ji                                          j's mean power at i's receiver

exp(-z b) becomes its mean 1 / (1 + z mean b) where the pair does not know b. The integral over z is a trapezoid rule
over ln z, which converges exponentially. What a pair knows of an RB takes `_POINTS` values of equal probability, and
RBs are independent.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Goal = Literal["own_reward", "total"]
Knowledge = Literal["own_gain", "bs_gain"]

_POINTS = {"own_gain": 1024, "bs_gain": 4096}  # fewer leave a bias above 0.1 % of the expected reward
_STEP = 0.5  # of ln z
_GOLDEN = (np.sqrt(5) - 1) / 2
_MAX_SWEEPS = 500


@dataclass(frozen=True)
class MeanPowers:
    """One drop: mean received powers at full power, over the noise power; equal on all RBs but to the CUEs."""

    own: Floats  # [pair]
    cross: Floats  # [tx, rx]; the diagonal has no meaning
    bs: Floats  # [rx]
    cue: Floats  # [tx, RB]
    cue_bs: Floats  # [RB]
    cue_threshold: float
    negative_reward: float


@dataclass(frozen=True)
class IndexRule:
    """A pair's rule: argmax_k of sum_z weight[k, z] (1 - exp(-z g)) exp(-z b) - offset[k]."""

    z: Floats  # [Z]
    weight: Floats  # [RB, Z]
    offset: Floats  # [RB]

    def choose(self, own: Floats, bs: Floats | None) -> int:
        """The RB, for powers over the noise [RB] of its own link and of the BS, None where the rule has no use for it.
        The first one of several equals."""
        return int(((_kept(self.z, own, bs) * self.weight).sum(axis=1) - self.offset).argmax())


class RuleSearch:
    """All pairs' rules in one drop, improved one after the other. At first no choice depends on a gain."""

    def __init__(self, drop: MeanPowers, knows: Knowledge) -> None:
        self._drop, self._knows = drop, knows
        n, k = drop.cue.shape
        self._z = _abscissae(drop)
        self._kernel = _STEP / np.log(2) * np.exp(-self._z)  # dz / z = d ln z
        ratio = drop.cue_threshold / drop.cue_bs  # [RB]
        self._spared = 1 / (1 + ratio * drop.cue)  # a [N, RB]
        self._served = np.exp(-ratio)  # s [RB]
        self.share = np.full((n, k), 1 / k)  # p [N, RB]
        own, bs = drop.own[:, None] * self._z, drop.bs[:, None] * self._z  # [N, Z]
        # E[taken (1 - exp(-z g)) exp(-z b)], [N, RB, Z]
        self._kept = np.repeat((own / (1 + own) / (1 + bs) / k)[:, None, :], k, axis=1)
        self._log_factors = np.sum([self._factor(j) for j in range(n)], axis=0)  # [rx, RB, Z]: of all interferers
        self._log_spared = np.sum([self._spared_factor(j) for j in range(n)], axis=0)  # [RB]: of all pairs

    def settle(self, goal: Goal, *, tolerance: float = 1e-3) -> None:
        """Improve the rules in turn until no pair gains more than `tolerance`, in bit/s/Hz, by a new one.

        RuntimeError if they go on changing.
        """
        for _ in range(_MAX_SWEEPS):
            if max(self.improve(i, goal) for i in range(len(self.share))) <= tolerance:
                return
        raise RuntimeError(f"the pairs' rules still change after {_MAX_SWEEPS} sweeps over all pairs")

    def improve(self, i: int, goal: Goal) -> float:
        """Give pair i its best rule; what it adds to the pair's own expected reward, or to the total."""
        rule, own, bs = self.rule(i, goal), *self._points(i)
        kept = _kept(self._z, own, bs)  # [P, Z], the same on all RBs
        taken = _largest((kept @ rule.weight.T - rule.offset).T)  # [RB, P]
        if bs is None:
            kept /= 1 + self._z * self._drop.bs[i]
        share, kept = taken.mean(axis=1), taken @ kept / len(own)
        rates = ((kept - self._kept[i]) * self._rate_weight(i)).sum()
        added = float(rates - ((share - self.share[i]) * rule.offset).sum())
        self._replace(i, share, kept)
        return added

    def rule(self, i: int, goal: Goal) -> IndexRule:
        """Pair i's best rule against the others' present ones."""
        weight, offset = self._rate_weight(i), -self._drop.negative_reward * (1 - self._served_if_taken(i))
        if self._knows == "own_gain":
            weight = weight / (1 + self._z * self._drop.bs[i])
        return IndexRule(self._z, weight, offset + self._harm(i) if goal == "total" else offset)

    def expected_rewards(self) -> Floats:
        """Each pair's expected reward per slot, [N]."""
        pairs = range(len(self.share))
        rates = [(self._kept[i] * self._rate_weight(i)).sum() for i in pairs]
        outages = [(self.share[i] * (1 - self._served_if_taken(i))).sum() for i in pairs]
        return np.array(rates) + self._drop.negative_reward * np.array(outages)

    def _rate_weight(self, i: int) -> Floats:
        """[RB, Z]: times (1 - exp(-z g)) exp(-z b), summed over z, pair i's expected rate on each RB."""
        alone = (self._served * self._spared[i])[:, None]
        return np.asarray(self._kernel * alone * np.exp(self._log_factors[i]))

    def _served_if_taken(self, i: int) -> Floats:
        """P(served) of each RB if pair i takes it, [RB]."""
        return np.asarray(self._served * self._spared[i] * np.exp(self._log_spared - self._spared_factor(i)))

    def _harm(self, i: int) -> Floats:
        """e [RB]: what the others' expected rewards lose where pair i takes the RB, against its staying away."""
        without = np.exp(self._log_factors - self._factor(i))  # [rx, RB, Z]
        lost = 1 - self._spared[i][:, None] / (1 + self._drop.cross[i][:, None, None] * self._z)
        rates = (self._kernel * self._kept * without * lost).sum(axis=2)  # [rx, RB]
        every_spared = self._log_spared - self._spared_factor(i)
        both_away = np.array([np.exp(every_spared - self._spared_factor(j)) for j in range(len(rates))])
        outages = self.share * both_away * (1 - self._spared[i])
        harm = self._served * self._spared * (rates - self._drop.negative_reward * outages)
        harm[i] = 0.0
        return np.asarray(harm.sum(axis=0))

    def _replace(self, i: int, share: Floats, kept: Floats) -> None:
        self._log_factors -= self._factor(i)
        self._log_spared -= self._spared_factor(i)
        self.share[i], self._kept[i] = share, kept
        self._log_factors += self._factor(i)
        self._log_spared += self._spared_factor(i)

    def _factor(self, j: int) -> Floats:
        """ln(1 - p + p a / (1 + z c)) of pair j at every receiver, [rx, RB, Z]; 0 at its own."""
        reached = self._spared[j][:, None] / (1 + self._drop.cross[j][:, None, None] * self._z)
        factor = np.log1p(self.share[j][:, None] * (reached - 1))
        factor[j] = 0.0
        return np.asarray(factor)

    def _spared_factor(self, j: int) -> Floats:
        """ln(1 - p + p a) of pair j, [RB]."""
        return np.asarray(np.log1p(self.share[j] * (self._spared[j] - 1)))

    def _points(self, i: int) -> tuple[Floats, Floats | None]:
        """Powers over the noise of equal probability, [P]: of pair i's own link, and of the BS where it is known."""
        count = _POINTS[self._knows]
        own = -self._drop.own[i] * np.log1p(-(np.arange(count) + 0.5) / count)
        if self._knows == "own_gain":
            return own, None
        lattice = (np.arange(count) * _GOLDEN + 0.5 / count) % 1.0  # with `own` Fibonacci's: even in two dimensions
        return own, -self._drop.bs[i] * np.log1p(-lattice)


def _kept(z: Floats, own: Floats, bs: Floats | None) -> Floats:
    """(1 - exp(-z g)) exp(-z b) for powers [.], [., Z]."""
    kept = -np.expm1(-z * own[:, None])
    return kept if bs is None else kept * np.exp(-z * bs[:, None])


def _largest(values: Floats) -> Floats:
    """The probability that each value [RB, P] is the largest if the other RBs have one of theirs, each with equal
    probability. Of equals the first RB's is the largest, as for `IndexRule.choose`."""
    n_rbs, points = values.shape
    rb = np.repeat(np.arange(n_rbs), points)[::-1]
    order = values.ravel()[::-1].argsort(kind="stable")
    below = (rb[order, None] == np.arange(n_rbs)).cumsum(axis=0)  # [RB * P, RB]: of each RB, up to this value
    below[np.arange(len(order)), rb[order]] = points
    taken = np.empty(len(order))
    taken[order] = (below / points).prod(axis=1)
    return taken[::-1].reshape(n_rbs, points)


def _abscissae(drop: MeanPowers) -> Floats:
    """z [Z] where the integrand counts: from far below 1 / the largest signal to where exp(-z) is nothing."""
    return np.asarray(np.exp(np.arange(-np.log(drop.own.max()) - 25.0, np.log(40.0), _STEP)))
