"""Uniformly random resource blocks: li2020's first 2000 slots, and the lower bound of every comparison.

Each pair draws, in every slot, one of its RB x power choices. It measures nothing and sends nothing.
"""

from protocol.messages.choreography import Choreography, agents_act
from protocol.messages.node import Welcome
from schemes.contract import Card, NodePolicy, NoParams, Scheme, TurnContext, TurnOutput
from schemes.li2020 import PAPER
from schemes.li2020.cell_info import ActionTable, cell_info

CARD = Card(
    name="li2020/random",
    summary="each pair draws a uniform RB (and power level) in every slot",
    citation="Li and Guo 2020, sec. V (the first 2000 slots); as a benchmark ours",
    paper=PAPER,
    equations="a ~ U{0 .. K L - 1}",
    worlds=("d2d_underlay",),
    observes="nothing",
    sends="nothing",
    deviations=("1. the paper has no random benchmark",),
    reproduces="no figure; N = 10 / 30 / 50: cellular outage .005 / .016 / .028, D2D outage .28 / .29 / .29",
    fallback="random",
)


class RandomPair(NodePolicy):
    """Stateless: a draw depends on the seed, the node and the slot alone."""

    def __init__(self, welcome: Welcome, params: NoParams) -> None:
        cell = cell_info(welcome)
        self._n_actions, self._replicas = cell.n_actions, welcome.replicas
        self._actions = ActionTable(cell, welcome.action)

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        choice = turn.rng().integers(0, self._n_actions, self._replicas)
        return TurnOutput(self._actions(choice))


def choreography(_params: NoParams) -> Choreography:
    return Choreography((agents_act(),))


SCHEME = Scheme(CARD, choreography, RandomPair)
