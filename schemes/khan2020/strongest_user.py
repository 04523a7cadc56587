"""Every BS serves the user that receives it best, with Pmax, and no other: own CSI, no exchange.

The baseline for the learned scheme without exchange, which has the same CSI. Where noise is above the interference from
other cells, as in the default network, it is hard to beat.
"""

import numpy as np

from protocol.messages.choreography import Choreography, agents_act
from protocol.messages.node import Welcome
from schemes.contract import Card, NodePolicy, NoParams, Scheme, TurnContext, TurnOutput
from schemes.khan2020 import PAPER
from schemes.khan2020.network_info import network_info

CARD = Card(
    name="khan2020/strongest_user",
    summary="every BS serves its user of the largest gain with Pmax",
    citation="ours, for the network of khan2020",
    paper=PAPER,
    equations="p[b->k] = Pmax if k = argmax_j gain[b->j,b], else 0",
    worlds=("downlink_cells",),
    observes="gain_db [B, K, dB] to all users, this slot, of which the own cell's count",
    sends="nothing",
    deviations=("1. not in the paper",),
)


class StrongestUser(NodePolicy):
    """Stateless."""

    def __init__(self, welcome: Welcome, _: NoParams) -> None:
        self._welcome, self._info = welcome, network_info(welcome)

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        own_db = turn.measurement["gain_db"][:, self._welcome.index]  # [E, K]
        best = own_db.argmax(axis=1)[:, None] == np.arange(self._info.users)
        return TurnOutput(self._info.action(self._welcome, best.astype(np.float32)))


SCHEME = Scheme(CARD, lambda _: Choreography((agents_act("csi"),)), StrongestUser)
