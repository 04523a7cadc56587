"""Random scheduling: each agent gives each subband to one of its devices or to none, all equally likely.

Not a row of the paper, but a lower bound for those that are. It measures nothing, so empty queues are scheduled too.
In fig. 2 a device conflicts with its agent's other one and both devices of one neighbour, so it succeeds on a subband
with probability 1/3 * 1/3: 1/3 of a task per slot, hardly more than the light load.
"""

from typing import Any

from protocol.messages.choreography import Choreography, agents_act
from protocol.messages.node import Welcome
from protocol.messages.spaces import Space
from schemes.contract import Card, NodePolicy, Scheme, TurnContext, TurnOutput
from schemes.zhang2025 import PAPER


class RandomAgent(NodePolicy):
    """Draws uniformly from its actions."""

    def __init__(self, action: Space, replicas: int) -> None:
        self._silence = action.empty(replicas)
        self._n_own = int(action.fields[0].high or 0)

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        action = self._silence.copy()
        action["device"] = turn.rng().integers(0, self._n_own, action["device"].shape, endpoint=True)  # [E, H]
        return TurnOutput(action)


def choreography(_: Any) -> Choreography:
    return Choreography((agents_act(),))


def agent(welcome: Welcome, _: Any) -> RandomAgent:
    return RandomAgent(welcome.action, welcome.replicas)


CARD = Card(
    name="zhang2025/random",
    summary="each agent gives each subband to one of its devices or to none, uniformly",
    citation="ours, for comparison with Zhang and Guo 2025",
    paper=PAPER,
    equations="none",
    worlds=("conflict_graph",),
    observes="nothing",
    sends="nothing",
    fallback="silent",
)
SCHEME = Scheme(CARD, choreography, agent)
