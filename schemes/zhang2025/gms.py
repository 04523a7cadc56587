"""Greedy maximal scheduling (GMS), central (zhang2025 section IV-B).

"Starts with an empty schedule, iteratively selects the device with the longest queue in the network, adding it to the
schedule and disabling those conflicting devices [...] until all devices are either scheduled or disabled."

The sentence leaves details open. Mean delays of the possible rules (load 0.3 / 0.4 / 0.5, in slots):

    rule                                                     drops = in_neighbours     both
    one schedule per slot on all subbands, ties at random    1.80 / 2.05 / 2.34        1.72 / 1.92 / 2.16     this one
    the same, ties to the lowest id                          1.85 / 2.09 / 2.36        1.72 / 1.93 / 2.15
    subbands drawn each for itself from the same queues      1.32 / 1.53 / 1.84        1.30 / 1.47 / 1.71
    subbands in turn, queues less the scheduled tasks        1.16 / 1.27 / 1.47        1.04 / 1.11 / 1.23
    expected: fig. 8 has 2.34 at 0.5                         1.81 / 2.03 / 2.33        1.73 / 1.92 / 2.16

In words: every slot, among devices with tasks, take the longest queue (ties uniformly at random), drop those in
conflict, repeat; each scheduled device has all H subbands. `drops="in_neighbours"` drops only the i with (i, n)
in E for the chosen n, as in the authors' code; a later choice may then lie in E out of n and be spoiled by it. `both`
drops conflicts of either direction, as in the text. Dropping only the out-neighbours gives 2.02 / 2.54 / 3.62. An
agent's other devices are dropped with either, for it has one device per subband.

The agents send the trainer their queue lengths, the trainer sends each agent its device. Stale rules: hold. The trainer
takes an agent's queues from its newest note, by the slot in which it was sent; they count as empty before its first
note, and once that note is older than `max_age_slots`. An agent follows the newest decision, whatever slot it was made
for, until a newer one comes; before the first it is silent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge

from protocol.messages.choreography import Choreography, agents_act, agents_exchange, trainer_decides
from protocol.messages.kinds import Kind
from protocol.messages.node import Note, ReceivedNote, Welcome
from protocol.messages.spaces import Records, Space
from protocol.params import param
from schemes.contract import NO_OUTPUT, Card, Scheme, TurnContext, TurnOutput, to_trainer
from schemes.parts.latest_notes import LatestNotes, LatestNotesPolicy
from schemes.parts.note_reader import NoteReader
from schemes.zhang2025 import PAPER
from schemes.zhang2025.queue_notes import decode_queues, encode_queues
from schemes.zhang2025.topology import WholeTopology, whole_topology

Drops = Literal["in_neighbours", "both"]
Flags = npt.NDArray[np.bool_]
Tasks = npt.NDArray[np.int64]


@dataclass(frozen=True)
class GmsParams:
    """Which devices a chosen one disables, and how old queue lengths may be."""

    drops: Drops = param(
        "in_neighbours",
        "in_neighbours: those that would spoil the chosen device; both: those that it would spoil, too",
        source="authors' code; text of IV-B",
    )
    max_age_slots: Annotated[int, Ge(0)] | None = param(
        None, "an older note of an agent counts as empty queues; none: any age", unit="slots", source="ours"
    )


class GmsAgent(LatestNotesPolicy[Records]):
    """Sends its queue lengths and follows the newest decision."""

    def __init__(self, action: Space, replicas: int, trainer: int) -> None:
        self._space, self._replicas = action, replicas
        super().__init__(LatestNotes(NoteReader(Kind.DECISION, (trainer,), self._on_all_subbands)))

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        self._latest.update(turn)  # in both turns: late notes arrive in turn 0, before the exchange
        if turn.step == "exchange":
            return TurnOutput(notes=(to_trainer(Kind.CSI, encode_queues(turn.measurement["tasks"])),))
        decisions = self._latest.at(turn.slot)
        return TurnOutput(decisions[0][1]) if decisions else NO_OUTPUT

    def _on_all_subbands(self, decision: ReceivedNote) -> Records:
        """The action that a decision asks for, [E]."""
        action = self._space.empty(self._replicas)
        action["device"] = np.frombuffer(decision.body, "i1").reshape(self._replicas, 1)  # [E, H]
        if not self._space.holds(action):
            raise ValueError("this agent has no such device")
        return action


class GmsCloud(LatestNotesPolicy[Tasks]):
    """The trainer: knows the graph, receives all queue lengths, and schedules."""

    def __init__(self, topology: WholeTopology, params: GmsParams, replicas: int) -> None:
        self._topology, self._replicas = topology, replicas
        self._dropped = dropped_by(topology, params.drops)
        agents = range(len(topology.agents))
        super().__init__(LatestNotes(NoteReader(Kind.CSI, agents, self._queues), params.max_age_slots))

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        self._latest.update(turn)
        scheduled = greedy_schedule(self._tasks(turn.slot), self._dropped, turn.rng())
        return TurnOutput(notes=tuple(self._decisions(scheduled)))

    def _tasks(self, slot: int) -> Tasks:
        """All queue lengths as the trainer knows them, [E, N]."""
        tasks = np.zeros((self._replicas, len(self._topology.owner)), np.int64)
        for source, queues in self._latest.at(slot):
            tasks[:, self._topology.owner == source] = queues
        return tasks

    def _queues(self, note: ReceivedNote) -> Tasks:
        """The queue lengths of an agent's devices, [E, n]."""
        return decode_queues(note.body, self._replicas, len(self._topology.agents[note.source]))

    def _decisions(self, scheduled: Flags) -> Iterator[Note]:
        """To each agent the local index of its device, 0 for none, in one byte; the air is charged the bits needed."""
        for k, own in enumerate(self._topology.agents):
            device = scheduled[:, self._topology.owner == k] @ np.arange(1, len(own) + 1)  # [E]
            yield Note((k,), Kind.DECISION, device.astype("i1").tobytes(), len(own).bit_length())


def dropped_by(topology: WholeTopology, drops: Drops) -> Flags:
    """[N, N]: [n, i] is True where choosing n drops i; always n itself and its agent's other devices."""
    conflicting = topology.spoils.T | topology.spoils if drops == "both" else topology.spoils.T
    dropped: Flags = conflicting | (topology.owner[:, None] == topology.owner)
    return dropped


def greedy_schedule(tasks: npt.NDArray[np.int64], dropped: Flags, rng: np.random.Generator) -> Flags:
    """The devices to schedule, [E, N], for queue lengths [E, N] in tasks; ties are broken uniformly at random."""
    priority = np.where(tasks > 0, tasks + rng.random(tasks.shape), 0.0)  # [E, N]
    scheduled = np.zeros(tasks.shape, bool)
    while True:
        rows = np.flatnonzero(priority.any(1))
        if not len(rows):
            return scheduled
        chosen = priority[rows].argmax(1)
        scheduled[rows, chosen] = True
        priority[rows] = np.where(dropped[chosen], 0.0, priority[rows])


def choreography(_: GmsParams) -> Choreography:
    return Choreography((agents_exchange("queues"), trainer_decides(), agents_act()))


def agent(welcome: Welcome, _: GmsParams) -> GmsAgent:
    return GmsAgent(welcome.action, welcome.replicas, welcome.agents)


def cloud(welcome: Welcome, params: GmsParams) -> GmsCloud:
    return GmsCloud(whole_topology(welcome), params, welcome.replicas)


CARD = Card(
    name="zhang2025/gms",
    summary="central: longest queue first, dropping those in conflict, until no device is left",
    citation="Zhang and Guo 2025, sec. IV-B, benchmark 1",
    paper=PAPER,
    equations="none; the rule in words of IV-B",
    worlds=("conflict_graph",),
    observes="own queue lengths [n_own, tasks]; the trainer knows the graph",
    sends="csi: 2 bytes per device and slot to the trainer; decision: 1 byte (2 bits for two devices) to each agent; "
    "fig. 2: 20 bytes, 136 bits per slot",
    deviations=(
        "1. drops=in_neighbours is the authors' code, which the published 2.34 needs; the text's reading is drops=both",
        "2. one schedule on all subbands and ties at random are found from the published delays, not stated",
    ),
    reproduces="fig. 8, mean delay at load 0.5: 2.34 slots (paper 2.34)",
    fallback="silent",
)
SCHEME = Scheme(CARD, choreography, agent, cloud, GmsParams)
