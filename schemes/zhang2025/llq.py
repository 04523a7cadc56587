"""Local longest queue (LLQ), distributed (zhang2025 section IV-B).

"Each AP schedules a device for transmission if it has a longer queue than all devices it has a conflict with; in case
of a tie between j devices, each of those devices is scheduled independently with probability 1/j."

Every slot the agents send each other their queue lengths; then a device with tasks wins if no device in conflict with
it, in either direction, has a longer queue. j counts the device itself and those in conflict whose queue is as long. Of
several own devices that win an agent takes one, uniformly; it has all H subbands.

The sentence leaves details open. Mean delays of the possible rules (load 0.3 / 0.4 / 0.5, in slots); the paper has
about 2.6 / 3.1 / 6 to 8:

    rule                                                      mean delay
    one draw per slot for all subbands                        2.56 / 3.12 / 6.8         this one
    the same, two own devices both on the air and colliding   2.72 / 3.38 / 12.7
    a draw per subband from the same queues                   1.73 / 2.30 / 5.3
    subbands in turn, queues less the scheduled tasks         1.56 / 3.51 / unstable
    conflicts into the device only                            2.64 / 3.25 / 6.4

Stale rule: that of `queue_notes`.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Ge

from protocol.messages.choreography import Choreography, agents_act, agents_exchange
from protocol.messages.kinds import Kind
from protocol.messages.node import Welcome
from protocol.params import param
from schemes.contract import Card, Scheme, TurnContext, TurnOutput, broadcast
from schemes.parts.sense import SensingPolicy
from schemes.zhang2025 import PAPER
from schemes.zhang2025.queue_notes import Tasks, encode_queues, queues_around
from schemes.zhang2025.topology import local_topology


@dataclass(frozen=True)
class Llq:
    max_age_slots: Annotated[int, Ge(0)] | None = param(
        None, "an older note of a neighbour counts as empty queues; none: any age", unit="slots", source="ours"
    )


class LlqAgent(SensingPolicy):
    """Sends its queue lengths to its neighbours and compares them with theirs."""

    def __init__(self, welcome: Welcome, params: Llq) -> None:
        topology = local_topology(welcome)
        self._rivals, self._silence = topology.rivals, welcome.action.empty(welcome.replicas)
        super().__init__(queues_around(welcome, topology, params.max_age_slots))

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        tasks = self._sense.record(turn)["tasks"]  # [E, n_around]
        if turn.step == "exchange":
            return TurnOutput(notes=(broadcast(Kind.NEIGHBOUR, encode_queues(turn.measurement["tasks"])),))
        action = self._silence.copy()
        action["device"] = longest_queues(tasks, self._rivals, turn.rng())[:, None]  # [E, H]
        return TurnOutput(action)


def longest_queues(tasks: Tasks, rivals: npt.NDArray[np.bool_], rng: np.random.Generator) -> Tasks:
    """The local index of the own device that transmits, 0 for none, [E].

    `tasks` [E, n_around] with the own devices first; `rivals` [n_own, n_around].
    """
    own = tasks[:, : len(rivals)]  # [E, n_own]
    theirs = np.where(rivals, tasks[:, None, :], -1)  # [E, n_own, n_around]
    longest = (own > 0) & (own >= theirs.max(2))
    tied = 1 + (theirs == own[:, :, None]).sum(2)  # j, [E, n_own]
    draws = rng.random((2, *own.shape))
    wins = longest & (draws[0] * tied < 1)  # with probability 1/j
    return np.where(wins.any(1), np.where(wins, draws[1], -1.0).argmax(1) + 1, 0)


def choreography(_: Llq) -> Choreography:
    return Choreography((agents_exchange("queues"), agents_act("queues")))


CARD = Card(
    name="zhang2025/llq",
    summary="distributed: transmit if no device in conflict has a longer queue; ties at random",
    citation="Zhang and Guo 2025, sec. IV-B, benchmark 2",
    paper=PAPER,
    equations="none; the rule in words of IV-B",
    worlds=("conflict_graph",),
    observes="own queue lengths [n_own, tasks]; neighbours' by notes",
    sends="neighbour: own queue lengths to all neighbours, 2 bytes (16 bits) per device and slot over each wire; "
    "fig. 2: 16 bytes over 2 wires each, 256 bits",
    deviations=(
        "1. one draw per slot for all subbands is found from the published delays, not stated",
        "2. an agent takes one of two own devices that win their draws; the text would let them collide",
    ),
    reproduces="fig. 8: about 2.6 / 3.1 / 6.8 slots at loads 0.3 / 0.4 / 0.5",
    fallback="silent",
)
SCHEME = Scheme(CARD, choreography, LlqAgent, params=Llq)
