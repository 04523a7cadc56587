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

Stale rule: hold. An agent takes a neighbour's queues from its newest note, by the slot in which it was sent; they count
as empty before its first note, and once that note is older than `max_age_slots`.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import numpy.typing as npt
from annotated_types import Ge

from protocol.messages.choreography import Choreography, agents_act, agents_exchange
from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote, Welcome
from protocol.messages.spaces import Space
from protocol.params import param
from schemes.contract import Card, Scheme, TurnContext, TurnOutput, broadcast
from schemes.parts.latest_notes import LatestNotes, LatestNotesPolicy
from schemes.parts.note_reader import NoteReader
from schemes.zhang2025 import PAPER
from schemes.zhang2025.queue_notes import decode_queues, encode_queues
from schemes.zhang2025.topology import LocalTopology, local_topology

Tasks = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Llq:
    max_age_slots: Annotated[int, Ge(0)] | None = param(
        None, "an older note of a neighbour counts as empty queues; none: any age", unit="slots", source="ours"
    )


class LlqAgent(LatestNotesPolicy[Tasks]):
    """Sends its queue lengths to its neighbours and compares them with theirs."""

    def __init__(self, topology: LocalTopology, action: Space, replicas: int, max_age_slots: int | None) -> None:
        self._topology, self._replicas = topology, replicas
        self._silence = action.empty(replicas)
        reader = NoteReader(Kind.NEIGHBOUR, topology.columns, self._queues)
        super().__init__(LatestNotes(reader, max_age_slots))

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        self._latest.update(turn)  # in both turns: late notes arrive in turn 0, before the exchange
        if turn.step == "exchange":
            return TurnOutput(notes=(broadcast(Kind.NEIGHBOUR, encode_queues(turn.measurement["tasks"])),))
        winner = longest_queues(self._around(turn), self._topology.rivals, turn.rng())
        action = self._silence.copy()
        action["device"] = winner[:, None]  # [E, H]
        return TurnOutput(action)

    def _around(self, turn: TurnContext) -> Tasks:
        """Queue lengths [E, n_around]: the own ones measured, the neighbours' from their notes."""
        tasks = np.zeros((self._replicas, len(self._topology.around)), np.int64)
        tasks[:, : len(self._topology.devices)] = turn.measurement["tasks"]
        for source, queues in self._latest.at(turn.slot):
            tasks[:, self._topology.columns[source]] = queues
        return tasks

    def _queues(self, note: ReceivedNote) -> Tasks:
        """The queue lengths of a neighbour's devices, [E, n]."""
        columns = self._topology.columns[note.source]
        return decode_queues(note.body, self._replicas, columns.stop - columns.start)


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


def agent(welcome: Welcome, params: Llq) -> LlqAgent:
    return LlqAgent(local_topology(welcome), welcome.action, welcome.replicas, params.max_age_slots)


CARD = Card(
    name="zhang2025/llq",
    summary="distributed: transmit if no device in conflict has a longer queue; ties at random",
    citation="Zhang and Guo 2025, sec. IV-B, benchmark 2",
    paper=PAPER,
    equations="none; the rule in words of IV-B",
    worlds=("conflict_graph",),
    observes="own queue lengths [n_own, tasks]; neighbours' by notes",
    sends="neighbour: own queue lengths to all neighbours, 2 bytes (16 bits) per device and slot over each wire; fig. 2: "
    "16 bytes over 2 wires each, 256 bits",
    deviations=(
        "1. one draw per slot for all subbands is found from the published delays, not stated",
        "2. an agent takes one of two own devices that win their draws; the text would let them collide",
    ),
    reproduces="fig. 8: about 2.6 / 3.1 / 6.8 slots at loads 0.3 / 0.4 / 0.5",
    fallback="silent",
)
SCHEME = Scheme(CARD, choreography, agent, params=Llq)
