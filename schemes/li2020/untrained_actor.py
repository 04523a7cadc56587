"""The paper's actor with random weights: the cost of inference, and the reward of a network before training.

Each pair feeds its standardised observation s_i through a network of two hidden layers, 512 and 128, ReLU between, and
takes the choice of the largest output: the same arithmetic as a trained MAAC or NAAC pair at execution.
"""

from protocol.determinism.rng import CounterRng
from protocol.messages.choreography import Choreography, agents_act
from protocol.messages.node import Welcome
from schemes.contract import Card, NodePolicy, NoParams, Scheme, TurnContext, TurnOutput
from schemes.li2020 import PAPER
from schemes.li2020.cell_info import ActionTable, Standardiser, cell_info
from schemes.parts.numpy_nets import Mlp, draw_mlp

HIDDEN = (512, 128)  # li2020 sec. V

CARD = Card(
    name="li2020/untrained_actor",
    summary="the paper's 512-128 actor with random weights, argmax",
    citation="Li and Guo 2020, sec. III-B, V",
    paper=PAPER,
    equations="a_i = argmax mu_i(s_i), mu_i drawn uniform in +-1 / sqrt(inputs) per layer",
    worlds=("d2d_underlay",),
    observes="s_i: own_gain_db, bs_gain_db (to the transmitter), interference_dbm (previous slot), last_rb: [4K] or "
    "[K + 3]",
    sends="nothing",
    deviations=("1. never trained: a baseline of ours",),
    fallback="random",
)


class UntrainedPair(NodePolicy):
    """Stateless; the weights depend on the seed and the node alone."""

    def __init__(self, welcome: Welcome, params: NoParams) -> None:
        cell = cell_info(welcome)
        self._standardise = Standardiser(cell, welcome.views["observation"])
        self._actions = ActionTable(cell, welcome.action)
        rng = CounterRng(welcome.seed, "actor", welcome.index).at(0)
        self._net = Mlp(draw_mlp(rng, (self._standardise.inputs, *HIDDEN, cell.n_actions)))

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        scores = self._net(self._standardise(turn.measurement))  # [E, K L]
        return TurnOutput(self._actions(scores.argmax(axis=1)))


def choreography(_params: NoParams) -> Choreography:
    return Choreography((agents_act(view="observation"),))


SCHEME = Scheme(CARD, choreography, UntrainedPair)
