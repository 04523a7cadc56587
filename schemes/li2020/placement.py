"""Placing pairs on resource blocks by full channel knowledge: greedy steepest ascent of the cell's total reward.

All pairs start silent. Of all pairs not yet placed and all RBs, the (pair, RB) that raises the total most is placed,
until all are placed or none raises it; the others stay silent. The total is li2020 eq. (5-7) summed over the placed
pairs, so it includes what a new pair takes from the pairs and the CUE on its RB. All at full power.

`schemes.parts.solvers.greedy` does the same for any objective; here one RB per step is evaluated anew, not all.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from schemes.li2020.cell_info import CellInfo

Floats = npt.NDArray[np.float64]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Gains:
    """Received powers of this slot at full power, in units of the noise power."""

    pair: Floats  # [E, RB, tx, rx]; the diagonal is the pairs' own signal
    pair_bs: Floats  # [E, RB, rx]
    cue: Floats  # [E, RB, tx]
    cue_bs: Floats  # [E, RB]
    cue_threshold: float
    negative_reward: float

    @classmethod
    def of(cls, cell: CellInfo, at_pairs: Floats, at_cues: Floats) -> "Gains":
        """From linear gains [rx, E, tx + BS, RB] and [CUE, E, tx + BS]."""
        d2d, bs = cell.d2d_powers_w[0] / cell.noise_w, cell.bs_power_w / cell.noise_w
        by_rb = np.ascontiguousarray(at_pairs.transpose(1, 3, 2, 0))  # [E, RB, tx + BS, rx]
        cues = at_cues.swapaxes(0, 1)  # [E, RB, tx + BS]
        return cls(
            pair=d2d * by_rb[:, :, :-1],
            pair_bs=bs * by_rb[:, :, -1],
            cue=d2d * cues[:, :, :-1],
            cue_bs=bs * cues[:, :, -1],
            cue_threshold=cell.cue_threshold,
            negative_reward=cell.negative_reward,
        )


def place(gains: Gains) -> Indices:
    """An RB for every pair, -1 for silence, [E, N]."""
    placement = _Placement(gains)
    for _ in range(gains.pair.shape[2]):
        placement.insert_best()
    return placement.rb


class _Placement:
    """The RB of each pair, and what each further (RB, pair) would add to the total reward; all replicas at once."""

    def __init__(self, gains: Gains) -> None:
        e, k, n = gains.cue.shape
        self._gains = gains
        self._replica = np.arange(e)
        self.rb = np.full((e, n), -1)
        self._own = np.ascontiguousarray(np.diagonal(gains.pair, axis1=2, axis2=3))  # [E, RB, pair]
        self._members = np.zeros((e, k, n), bool)
        self._gain = np.empty((e, k, n))  # [E, RB, N]: what placing a pair there would add
        for rb in range(k):
            self._evaluate(np.full(e, rb))

    def insert_best(self) -> None:
        """In every replica, place the (pair, RB) that adds most, if it adds anything."""
        open_gain = np.where(self.rb[:, None, :] < 0, self._gain, -np.inf)  # [E, RB, N]
        rb, pair = np.divmod(open_gain.reshape(len(open_gain), -1).argmax(axis=1), self.rb.shape[1])
        helps = open_gain[self._replica, rb, pair] > 0.0
        if not helps.any():
            return
        self._members[self._replica, rb, pair] |= helps
        self.rb[self._replica[helps], pair[helps]] = rb[helps]
        self._evaluate(rb)

    def _evaluate(self, rb: Indices) -> None:
        """`_gain` of one RB per replica, [E] -> [E, N]: its total with each candidate, less its total without."""
        gains, at = self._gains, (self._replica, rb)
        members = self._members[at]  # [E, N]
        from_all, own = gains.pair[at], self._own[at]  # [E, tx, rx], [E, N]
        total = np.matmul(members[:, None, :].astype(float), from_all)[:, 0]  # [E, rx], a member's own signal included
        base = 1.0 + gains.pair_bs[at] + total - np.where(members, own, 0.0)  # [E, rx]
        rate = np.log2(1.0 + own / base)  # [E, N]: of a member as it is, of a candidate when it joins
        harmed = np.log2(1.0 + own[:, None, :] / (base[:, None, :] + from_all))  # [E, candidate, member]
        kept = np.where(members[:, None, :], harmed, 0.0).sum(axis=2)  # [E, candidate]
        count = members.sum(axis=1, keepdims=True)  # [E, 1]
        cue_load = 1.0 + (members * gains.cue[at]).sum(axis=1, keepdims=True)  # [E, 1]
        before = self._reward((rate * members).sum(axis=1, keepdims=True), count, cue_load, at)  # [E, 1]
        after = self._reward(kept + rate, count + 1, cue_load + gains.cue[at], at)  # [E, candidate]
        self._gain[at] = after - before

    def _reward(self, rates: Floats, count: Indices, cue_load: Floats, at: tuple[Indices, Indices]) -> Floats:
        """Eq. (5-7) summed over an RB's pairs, [E, .]."""
        served = self._gains.cue_bs[at][:, None] >= self._gains.cue_threshold * cue_load
        return np.where(served, rates, self._gains.negative_reward * count)
