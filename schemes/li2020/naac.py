"""NAAC: MAAC whose critics know only a pair's nearest neighbours, so that their size does not depend on N.

y_i = r_i + gamma Q'_i(s_nb', mu'(s_nb'))    eq. (21), s_nb the states of pair i and its `neighbours` nearest

With `neighbours: 0` every critic knows its own pair alone. That is the paper's independent benchmark AC as we read it:
MAAC "is an extension of AC", with the states and actions of the others added to the critic (sec. III-B).
"""

from dataclasses import dataclass, replace
from typing import Annotated

from annotated_types import Ge

from protocol.messages.node import Welcome
from protocol.params import param
from schemes.contract import Scheme, Training
from schemes.li2020 import maac
from schemes.li2020.maac import Maac
from schemes.parts.critic_inputs import nearest_agents

CARD = replace(
    maac.CARD,
    name="li2020/naac",
    summary="MAAC whose critics know only the nearest pairs; with neighbours: 0 the paper's independent AC",
    citation="Li and Guo 2020, sec. IV, alg. 3",
    equations="(20), (21), else as MAAC",
    deviations=(
        *maac.CARD.deviations,
        "10. the BS knows which pairs are near each other without notes; distances between transmitters, of replica 0",
    ),
    reproduces="fig. 6-11 (L1-L7): see docs/reproduction/li2020.md",
)


@dataclass(frozen=True, kw_only=True)
class Naac(Maac):
    """How NAAC learns."""

    neighbours: Annotated[int, Ge(0)] = param(
        3, "lambda, nearest pairs that a critic knows; 0: AC, on a pair's own data", source="sec. IV-B"
    )


def training(welcome: Welcome, params: Naac) -> Training:
    """Every critic knows the nearest pairs. ValueError if there are not enough others."""
    if params.neighbours >= welcome.agents:
        raise ValueError(
            f"neighbours {params.neighbours} needs at least {params.neighbours + 1} pairs, not {welcome.agents}: "
            "lower neighbours or raise world.pairs"
        )
    nearest: list[list[int]] = welcome.static_info["nearest"]
    return maac.training_with(welcome, params, nearest_agents([others[: params.neighbours] for others in nearest]))


SCHEME = Scheme(CARD, maac.choreography, maac.pair, params=Naac, training=training, learns=True, needs=("torch",))
