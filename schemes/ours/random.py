"""Uniformly random actions in any world: the floor of a comparison, and the first run of a new world."""

from protocol.messages.choreography import Choreography, agents_act
from protocol.messages.node import Welcome
from schemes.contract import EVERY_WORLD, Card, NodePolicy, NoParams, Scheme, TurnContext, TurnOutput
from schemes.ours import PAPER

CARD = Card(
    name="ours/random",
    summary="each node draws every field of its action uniformly between the field's bounds",
    citation="ours",
    paper=PAPER,
    equations="a ~ U[low, high], field by field",
    worlds=EVERY_WORLD,
    observes="nothing",
    sends="nothing",
    fallback="random",
)


class RandomNode(NodePolicy):
    """Stateless: a draw depends on the seed, the node and the slot alone. ValueError for an action without bounds."""

    def __init__(self, welcome: Welcome, params: NoParams) -> None:
        self._action, self._replicas = welcome.action, welcome.replicas
        unbounded = [field.name for field in self._action.fields if field.low is None or field.high is None]
        if unbounded:
            raise ValueError(
                f"{welcome.scheme} draws between bounds, and {welcome.name}'s action has none for "
                f"{', '.join(unbounded)}: give these fields low and high in the world"
            )

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        return TurnOutput(self._action.sample(turn.rng(), self._replicas))


def choreography(_params: NoParams) -> Choreography:
    return Choreography((agents_act(),))


SCHEME = Scheme(CARD, choreography, RandomNode)
