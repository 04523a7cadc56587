"""Greedy LLQ on the cellular network, distributed (zhang2025 section IV-B).

"APs use all subbands at full power to serve the device with the longest queue in their neighborhood. In case of a tie
between multiple devices, one device is selected uniformly at random."

Every slot the APs send each other the length of their longest queue, in packets. An AP transmits if no neighbour's is
longer; of its own devices with the longest queue it takes one, uniformly.

Stale rule: hold. A neighbour's queue is that of its newest note; it counts as empty before the first, and once that
note is older than `max_age_slots`.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge

from protocol.messages.choreography import Choreography, agents_act, agents_exchange
from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote, Welcome
from protocol.params import param
from schemes.contract import Card, Scheme, TurnContext, TurnOutput, broadcast
from schemes.parts.latest_notes import LatestNotes, LatestNotesPolicy
from schemes.parts.note_reader import NoteReader
from schemes.zhang2025 import PAPER
from schemes.zhang2025.cells import Integers, local_cells, packets_in
from schemes.zhang2025.queue_notes import decode_queues, encode_queues


@dataclass(frozen=True)
class CellsLlq:
    max_age_slots: Annotated[int, Ge(0)] | None = param(
        None, "an older note of a neighbour counts as empty queues; none: any age", unit="slots", source="ours"
    )


class CellsLlqAp(LatestNotesPolicy[Integers]):
    """Sends the length of its longest queue, and compares it with its neighbours'."""

    def __init__(self, welcome: Welcome, params: CellsLlq) -> None:
        cell = local_cells(welcome)
        self._packet_bits, self._silence = cell.packet_bits, welcome.action.empty(welcome.replicas)
        self._full_power = len(cell.powers_w) - 1

        def read(note: ReceivedNote) -> Integers:
            return decode_queues(note.body, welcome.replicas, 1)[:, 0]

        neighbours = [other.agent for other in cell.neighbours]
        super().__init__(LatestNotes(NoteReader(Kind.NEIGHBOUR, neighbours, read), params.max_age_slots))

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        self._latest.update(turn)
        packets = packets_in(turn.measurement["waiting_bits"], self._packet_bits)  # [E, n_own]
        longest = packets.max(axis=1)
        if turn.step == "exchange":
            return TurnOutput(notes=(broadcast(Kind.NEIGHBOUR, encode_queues(longest[:, None])),))
        around = np.max([queue for _, queue in self._latest.at(turn.slot)] or [np.zeros_like(longest)], axis=0)
        draws = np.where(packets == longest[:, None], turn.rng().random(packets.shape), -1.0)  # ties
        action = self._silence.copy()
        device = np.where((longest > 0) & (longest >= around), draws.argmax(axis=1) + 1, 0)
        action["device"], action["level"] = device[:, None], np.where(device > 0, self._full_power, 0)[:, None]
        return TurnOutput(action)


def choreography(_: CellsLlq) -> Choreography:
    return Choreography((agents_exchange("queues"), agents_act("queues")))


CARD = Card(
    name="zhang2025/cells_llq",
    summary="distributed: an AP transmits at full power if no neighbour has a longer queue",
    citation="Zhang and Guo 2025, sec. IV-B, cellular benchmark 1",
    paper=PAPER,
    equations="none; the rule in words of IV-B",
    worlds=("traffic_cells",),
    observes="own queues [n, bit]; neighbours' longest by notes",
    sends="neighbour: the longest own queue to every neighbour, 2 bytes (16 bits) over each wire",
    deviations=(
        "1. queues are compared in whole packets: authors' program; the text has bits",
        "2. in a tie between cells all of them transmit: authors' program; a uniform choice needs coordination",
    ),
    reproduces="fig. 9, 10: see docs/reproduction/zhang2025.md",
    fallback="silent",
)
SCHEME = Scheme(CARD, choreography, CellsLlqAp, params=CellsLlq)
