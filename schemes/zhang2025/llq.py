"""Local longest queue (LLQ), distributed (zhang2025 section IV-B).

"Each AP schedules a device for transmission if it has a longer queue than all devices it has a conflict with; in case
of a tie between j devices, each of those devices is scheduled independently with probability 1/j."

Every slot the agents tell each other their queue lengths; then a device with tasks is up if no device in conflict with
it, in either direction, has a longer queue. j counts the device itself and those in conflict that are as long. Of
several own devices that are up an agent takes one, uniformly; it has all H subbands.

What the sentence leaves open, as mean delays (load 0.3 / 0.4 / 0.5, slots), about 2.6 / 3.1 / 6 to 8 expected:

    rule                                                      mean delay
    one draw per slot for all subbands                        2.56 / 3.12 / 6.8         this one
    the same, two own devices both on the air and colliding   2.72 / 3.38 / 12.7
    a draw per subband from the same queues                   1.73 / 2.30 / 5.3
    subbands in turn, queues less the scheduled tasks         1.56 / 3.51 / unstable
    conflicts into the device only                            2.64 / 3.25 / 6.4

Stale rule: hold. A neighbour's queues are those of its newest note, by when it was told, however late that came; empty
before its first word, and once that note is older than `oldest_slots`.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from annotated_types import Ge

from protocol.messages.choreography import Choreography, agents_act, agents_exchange
from protocol.messages.kinds import Kind
from protocol.messages.node import Welcome
from protocol.messages.spaces import Space
from protocol.params import param
from schemes.contract import Card, Scheme, TurnContext, TurnOutput, broadcast
from schemes.parts.latest_notes import LatestNotes, LatestNotesPolicy
from schemes.zhang2025.queue_notes import decode_queues, encode_queues
from schemes.zhang2025.topology import LocalTopology, local_topology

Tasks = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Llq:
    oldest_slots: Annotated[int, Ge(0)] | None = param(
        None, "an older word of a neighbour counts as empty queues; none: any age", unit="slots", source="ours"
    )


class LlqAgent(LatestNotesPolicy):
    """Tells its queues, compares them with those around."""

    def __init__(self, topology: LocalTopology, action: Space, replicas: int, oldest_slots: int | None) -> None:
        self._topology, self._replicas = topology, replicas
        self._silence = action.empty(replicas)
        super().__init__(LatestNotes(Kind.NEIGHBOUR, oldest_slots))

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        self._told.hear(turn.inbox)  # what comes late comes before the exchange
        if turn.step == "exchange":
            return TurnOutput(notes=(broadcast(Kind.NEIGHBOUR, encode_queues(turn.measurement["tasks"])),))
        up = longest_queues(self._around(turn), self._topology.rivals, turn.rng())
        return TurnOutput(self._on_all_subbands(up))

    def _around(self, turn: TurnContext) -> Tasks:
        """[E, n_around]: own queues as they are, the neighbours' as they are known."""
        tasks = np.zeros((self._replicas, len(self._topology.around)), np.int64)
        tasks[:, : len(self._topology.devices)] = turn.measurement["tasks"]
        for received in self._told.at(turn.slot):
            tasks[:, self._topology.columns[received.source]] = decode_queues(received.body, self._replicas)
        return tasks

    def _on_all_subbands(self, up: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
        action = self._silence.copy()
        action["device"] = up[:, None]  # [E, H]
        return action


def longest_queues(tasks: Tasks, rivals: npt.NDArray[np.bool_], rng: np.random.Generator) -> Tasks:
    """The local index of the own device that is up, 0 for none, [E].

    `tasks` [E, n_around] with the own devices first; `rivals` [n_own, n_around].
    """
    own = tasks[:, : len(rivals)]  # [E, n_own]
    theirs = np.where(rivals, tasks[:, None, :], -1)  # [E, n_own, n_around]
    longest = (own > 0) & (own >= theirs.max(2))
    tied = 1 + (theirs == own[:, :, None]).sum(2)  # j, [E, n_own]
    draws = rng.random((2, *own.shape))
    up = longest & (draws[0] * tied < 1)  # with probability 1/j
    return np.where(up.any(1), np.where(up, draws[1], -1.0).argmax(1) + 1, 0)


def choreography(_: Llq) -> Choreography:
    return Choreography((agents_exchange("queues"), agents_act("queues")))


def agent(welcome: Welcome, params: Llq) -> LlqAgent:
    return LlqAgent(local_topology(welcome), welcome.action, welcome.replicas, params.oldest_slots)


CARD = Card(
    name="zhang2025/llq",
    summary="distributed: on the air if no device in conflict has a longer queue; ties by lot",
    citation="Zhang and Guo, Multi-Agent RL for Multi-Cell Spectrum and Power Allocation, 2025, IV-B, benchmark 2",
    equations="none; the rule in words of IV-B",
    worlds=("conflict_graph",),
    sees="own queue lengths [n_own, tasks]; neighbours' by notes",
    tells="neighbour: own queue lengths to all neighbours, 2 bytes (16 bits) per device and slot; fig. 2: 16 bytes",
    deviations=(
        "1. one draw per slot for all subbands is found from the published delays, not stated",
        "2. an agent takes one of two own devices that win their draws; the text would let them collide",
    ),
    reproduces="fig. 8: about 2.6 / 3.1 / 6.8 slots at loads 0.3 / 0.4 / 0.5",
    fallback="silent",
)
SCHEME = Scheme(CARD, choreography, agent, params=Llq)
