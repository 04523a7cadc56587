"""The best that selfish pairs can do by their own gains alone: rules that are a Nash equilibrium, known beforehand.

    argmax_k F_nk(g[t_n, r_n, k])     F_nk: pair n's expected reward on RB k, eq. (5-7), given the others' rules

In a world whose fading is new in every slot no learner that sees its own link and the past has a better answer to the
others' rules. The rules, and the proof: `index_rules`.
"""

from functools import partial

from schemes.contract import Card, Scheme
from schemes.li2020 import PAPER
from schemes.li2020.local_rules import LocalRules, RulePair, choreography

CARD = Card(
    name="li2020/local_nash",
    summary="a bound: rules of the own gains in Nash equilibrium, computed from the drop",
    citation="ours, a bound for what pairs can learn alone; the paper has none",
    paper=PAPER,
    equations="argmax_k E[r_n | g_own[k], n on RB k], r_n of li2020 eq. (5-7), each rule the best against the others",
    worlds=("d2d_underlay",),
    observes="own_gain_db [K, dB] and with knows: bs_gain also bs_gain_db [K, dB], this slot, at the receiver; "
    "privileged: the mean gains of all links, from which the rules are computed before the first slot",
    sends="nothing",
    deviations=(
        "1. not in the paper; no pair knows the drop, so it is a bound and no scheme",
        "2. a bound where fading is new in every slot; with fading_correlation above 0 the past helps, too",
        "3. full power only, and never silent, as the paper's pairs",
        "4. an equilibrium, the one that is found from uniform choices; there may be others",
        "5. with knows: bs_gain a pair has more than the paper's observation: the BS's gain at its receiver",
    ),
    reproduces="no figure; see docs/reproduction/li2020.md",
)

SCHEME = Scheme(CARD, choreography, partial(RulePair, goal="own_reward"), params=LocalRules, privileged=True)
