"""The best that pairs can do together by their own gains alone: rules for the total reward, known beforehand.

    argmax_k F_nk(g[t_n, r_n, k]) - e_nk     F_nk: pair n's expected reward on RB k; e_nk: what it takes from the others

What `local_team` has over `local_nash` is the worth of learning together where each acts on its own gains; what the
schemes with channel knowledge at the BS have over it is the worth of measuring more. The rules: `index_rules`.
"""

from dataclasses import replace
from functools import partial

from schemes.contract import Scheme
from schemes.li2020 import local_nash
from schemes.li2020.local_rules import LocalRules, RulePair, choreography

CARD = replace(
    local_nash.CARD,
    name="li2020/local_team",
    summary="a bound: rules of the own gains for the total reward, computed from the drop",
    citation="ours, a bound for what pairs can learn together; the paper has none",
    equations="argmax_k E[sum_m r_m | g_own[k], n on RB k], r_m of li2020 eq. (5-7), each rule the best given the "
    "others",
    deviations=(
        *local_nash.CARD.deviations[:3],
        "4. a local optimum: no pair's rule alone raises the total; it is searched for from local_nash's rules",
        local_nash.CARD.deviations[4],
    ),
)

SCHEME = Scheme(CARD, choreography, partial(RulePair, goal="total"), params=LocalRules, privileged=True)
