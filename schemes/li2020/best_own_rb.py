"""The RB that looks best to the pair alone: how far plain fading diversity goes, without learning and without a note.

In every slot each receiver measures its own link on every RB and the BS's pilot, and the pair takes, at full power,

    own_gain        argmax_k g[t_n, r_n, k]
    gain_over_bs    argmax_k g[t_n, r_n, k] / g[b, r_n, k]

The second avoids what the BS does to the pair, which is most of its interference while N is small; neither knows what
the pair does to others. That the receiver's measurement reaches its transmitter is part of the pair and not metered.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from protocol.messages.choreography import Choreography, agents_act
from protocol.messages.node import Welcome
from protocol.params import param
from schemes.contract import Card, NodePolicy, Scheme, TurnContext, TurnOutput
from schemes.li2020.cell import Choices, cell_of

CARD = Card(
    name="li2020/best_own_rb",
    summary="each pair takes the RB of its best own gain, alone or over the BS's gain",
    citation="ours; a lead over it is more than fading diversity",
    equations="argmax_k g_own[k], or argmax_k g_own[k] / g_bs[k]; terms of li2020 eq. (2)",
    worlds=("d2d_underlay",),
    sees="own_gain_db [K, dB], bs_gain_db [K, dB], this slot, at the receiver",
    tells="nothing",
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


class Selfish(NodePolicy):
    """Without memory."""

    def __init__(self, welcome: Welcome, params: BestOwnRb) -> None:
        self._choose, self._form = Choices(cell_of(welcome), welcome.action), params.form

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        worth_db = turn.measurement["own_gain_db"]  # [E, K]
        if self._form == "gain_over_bs":
            worth_db = worth_db - turn.measurement["bs_gain_db"]
        return TurnOutput(self._choose(np.argmax(worth_db, axis=1)))


def choreography(_params: BestOwnRb) -> Choreography:
    return Choreography((agents_act(view="receiver"),))


SCHEME = Scheme(CARD, choreography, Selfish, params=BestOwnRb)
