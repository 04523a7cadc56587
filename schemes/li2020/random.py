"""Uniformly random resource blocks: what li2020 does in its first 2000 slots, and the floor of every comparison.

Each pair draws, in every slot, one of its RB x power choices. It measures nothing and tells nothing.
"""

from protocol.messages.choreography import Choreography, agents_act
from protocol.messages.node import Welcome
from schemes.contract import Card, NodePolicy, NoParams, Scheme, TurnContext, TurnOutput
from schemes.li2020.cell import Choices, cell_of

CARD = Card(
    name="li2020/random",
    summary="each pair draws a uniform RB (and power level) in every slot",
    citation="li2020, sec. V (the first 2000 slots); as a benchmark ours",
    equations="a ~ U{0 .. K L - 1}",
    worlds=("d2d_underlay",),
    sees="nothing",
    tells="nothing",
    deviations=("1. the paper has no random benchmark",),
    reproduces="no figure; N = 10 / 30 / 50: cellular outage .005 / .016 / .028, D2D outage .28 / .29 / .29",
    fallback="random",
)


class Random(NodePolicy):
    """Without memory: a draw depends on the seed, the node and the slot alone."""

    def __init__(self, welcome: Welcome, params: NoParams) -> None:
        self._cell, self._replicas = cell_of(welcome), welcome.replicas
        self._choose = Choices(self._cell, welcome.action)

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        choice = turn.rng().integers(0, self._cell.n_actions, self._replicas)
        return TurnOutput(self._choose(choice))


def choreography(_params: NoParams) -> Choreography:
    return Choreography((agents_act(),))


SCHEME = Scheme(CARD, choreography, Random)
