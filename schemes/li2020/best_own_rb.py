"""Each pair takes its own best RB: what plain fading diversity achieves, without learning and without a note.

In every slot each receiver measures its own link on every RB and the BS's pilot, and the pair takes, at full power,

    own_gain        argmax_k g[t_n, r_n, k]
    gain_over_bs    argmax_k g[t_n, r_n, k] / g[b, r_n, k]

The second avoids the BS's interference, which is most of a pair's interference while N is small; neither considers the
interference that the pair causes. The measurement goes from receiver to transmitter inside the pair and is not metered.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from protocol.messages.choreography import Choreography, agents_act
from protocol.messages.node import Welcome
from protocol.params import param
from schemes.contract import Card, NodePolicy, Scheme, TurnContext, TurnOutput
from schemes.li2020 import PAPER
from schemes.li2020.cell_info import ActionTable, cell_info

CARD = Card(
    name="li2020/best_own_rb",
    summary="each pair takes the RB of its best own gain, alone or over the BS's gain",
    citation="ours, for comparison with Li and Guo 2020: a lead over it is more than fading diversity",
    paper=PAPER,
    equations="argmax_k g_own[k], or argmax_k g_own[k] / g_bs[k]; terms of li2020 eq. (2)",
    worlds=("d2d_underlay",),
    observes="own_gain_db [K, dB], bs_gain_db [K, dB], this slot, at the receiver",
    sends="nothing",
    reproduces=(
        "no figure; total reward at N = 10 over 20 drops, random / own_gain / gain_over_bs / greedy_central: "
        "33 / 48 / 64 / 65 with a D2D intercept of 148 dB, 79 / 99 / 113 / 126 with 128.1 dB"
    ),
    deviations=(
        "1. not in the paper",
        "2. the BS gain is the receiver's; the paper's observation has the transmitter's",
    ),
)


@dataclass(frozen=True)
class BestOwnRb:
    form: Literal["own_gain", "gain_over_bs"] = param("gain_over_bs", "what the pair maximises", source="ours")


class BestOwnRbPair(NodePolicy):
    """Stateless."""

    def __init__(self, welcome: Welcome, params: BestOwnRb) -> None:
        self._actions, self._form = ActionTable(cell_info(welcome), welcome.action), params.form

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        score_db = turn.measurement["own_gain_db"]  # [E, K]
        if self._form == "gain_over_bs":
            score_db = score_db - turn.measurement["bs_gain_db"]
        return TurnOutput(self._actions(np.argmax(score_db, axis=1)))


def choreography(_params: BestOwnRb) -> Choreography:
    return Choreography((agents_act(view="receiver"),))


SCHEME = Scheme(CARD, choreography, BestOwnRbPair, params=BestOwnRb)
