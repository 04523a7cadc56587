"""Full power on every subband for the longest own queue: an AP that knows nothing of its neighbours (ours)."""

from protocol.messages.choreography import Choreography, agents_act
from protocol.messages.node import Welcome
from schemes.contract import Card, NodePolicy, NoParams, Scheme, TurnContext, TurnOutput
from schemes.zhang2025 import PAPER
from schemes.zhang2025.cells import local_cells


class MaxPower(NodePolicy):
    """Stateless; of equally long queues the first."""

    def __init__(self, welcome: Welcome, _: NoParams) -> None:
        self._action = welcome.action.empty(welcome.replicas)
        self._action["level"] = len(local_cells(welcome).powers_w) - 1

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        action = self._action.copy()
        action["device"] = turn.measurement["waiting_bits"].argmax(axis=1)[:, None] + 1
        return TurnOutput(action)


def choreography(_: NoParams) -> Choreography:
    return Choreography((agents_act("queues"),))


CARD = Card(
    name="zhang2025/max_power",
    summary="each AP serves its longest queue on all subbands at full power",
    citation="ours; a heuristic that Zhang and Guo 2025 name in the introduction",
    paper=PAPER,
    equations="device = argmax of own queues, power = Pmax",
    worlds=("traffic_cells",),
    observes="own queues [n, bit]",
    sends="nothing",
    fallback="silent",
)
SCHEME = Scheme(CARD, choreography, MaxPower)
