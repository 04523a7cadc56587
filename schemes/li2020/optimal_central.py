"""Full channel knowledge at the BS, and the best of all allocations: what no scheme can exceed in a slot.

As `greedy_central`, with the same notes, but for the placement: the pairs on an RB affect each other and its CUE alone,
so the total reward is a sum over RBs of a function of the set of pairs on each, and dynamic programming over sets finds
its maximum. Pairs may stay silent. An exact search takes 3^N steps per RB, so N is at most 12.
"""

from dataclasses import replace

import numpy as np

from protocol.messages.node import Welcome
from schemes.contract import NodePolicy, Scheme
from schemes.li2020 import greedy_central
from schemes.li2020.cell_info import cell_info
from schemes.li2020.greedy_central import GreedyCentral, choreography, pair, scheduler_with
from schemes.li2020.placement import Floats, Gains, Indices
from schemes.parts.solvers.partition import MAX_ITEMS, divide, members

CARD = replace(
    greedy_central.CARD,
    name="li2020/optimal_central",
    summary="a bound: all gains are sent to the BS in every slot, which finds the best of all allocations",
    equations="max of sum_n r_n over all allocations and silences, r_n of eq. (5-7)",
    deviations=("1. not in the paper", "2. full power only", f"3. at most {MAX_ITEMS} pairs"),
)


def scheduler(welcome: Welcome, params: GreedyCentral) -> NodePolicy:
    """The BS/cloud. ValueError for more pairs than an exact search can take."""
    if (pairs := cell_info(welcome).pairs) > MAX_ITEMS:
        raise ValueError(
            f"optimal_central searches all sets of pairs, of at most {MAX_ITEMS}, not {pairs}: lower world.pairs, or "
            "take li2020/greedy_central"
        )
    return scheduler_with(welcome, params, place)


def place(gains: Gains) -> Indices:
    """The best allocation: an RB for every pair, -1 for silence, [E, N]."""
    return divide(rewards_of_sets(gains)).choices


def rewards_of_sets(gains: Gains) -> Floats:
    """Eq. (5-7) summed over the pairs of each set, were they alone on an RB, [E, RB, 2^N]; bit n of a set is pair n."""
    member = members(gains.pair.shape[2])  # [2^N, N]
    own = np.diagonal(gains.pair, axis1=2, axis2=3)[:, :, None]  # [E, RB, 1, pair]
    interference = gains.pair_bs[:, :, None] + member @ gains.pair - member * own  # [E, RB, 2^N, rx]
    rate = (member * np.log2(1 + own / (1 + interference))).sum(axis=3)
    served = gains.cue_bs[..., None] >= gains.cue_threshold * (1 + gains.cue @ member.T)
    return np.asarray(np.where(served, rate, gains.negative_reward * member.sum(axis=1)))


SCHEME = Scheme(CARD, choreography, pair, scheduler, GreedyCentral)
