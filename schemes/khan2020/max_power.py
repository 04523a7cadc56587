"""Every BS sends with Pmax to each of its users: the paper's simplest scheme without coordination (sec. IV-B)."""

from protocol.messages.choreography import Choreography, agents_act
from protocol.messages.node import Welcome
from schemes.contract import Card, NodePolicy, NoParams, Scheme, TurnContext, TurnOutput
from schemes.khan2020 import PAPER
from schemes.khan2020.network_info import network_info

CARD = Card(
    name="khan2020/max_power",
    summary="every BS sends with Pmax to each of its users",
    citation="khan2020, sec. IV-B",
    paper=PAPER,
    equations="p[b->k] = Pmax",
    worlds=("downlink_cells",),
    observes="nothing",
    sends="nothing",
    deviations=("1. where Pmax limits the sum of a BS, each user gets a K-th",),
    reproduces="fig. 11, 13, 14, 15",
)


class MaxPower(NodePolicy):
    """Stateless."""

    def __init__(self, welcome: Welcome, _: NoParams) -> None:
        info, ones = network_info(welcome), welcome.action.empty(welcome.replicas)["power_w"] + 1
        self._action = info.action(welcome, info.within_budget(ones))  # deviation 1

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        return TurnOutput(self._action)


SCHEME = Scheme(CARD, lambda _: Choreography((agents_act(),)), MaxPower)
