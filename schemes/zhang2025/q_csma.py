"""Q-CSMA: queue-length-based carrier sensing (zhang2025 section IV-B; Ni, Tan, Srikant, arXiv 0901.2333, section IV).

Per slot and subband, first W control mini-slots, then the data slot. Device i, with C(i) its conflicts of either
direction and its agent's other devices:

1. i draws a backoff T uniformly from 0..W-1.
2. If i receives an INTENT of C(i) before mini-slot T, it sends nothing and keeps x_i(t) = x_i(t-1).
3. Otherwise i broadcasts an INTENT in mini-slot T. If one of C(i) does so too they collide: x_i(t) = x_i(t-1).
4. Otherwise i decides: if none of C(i) was active in the last slot, x_i(t) = 1 with probability e^w / (1 + e^w),
   w = log(10 q_i), else 0; if one was active, x_i(t) = 0.

If all INTENTs are received, x is an independent set in every slot: no transmission fails. Each mini-slot is a turn,
each INTENT a note of its own that is readable in the next turn; an equal turn on the note is a collision. An agent
needs no note for its own devices.

Stale rule: nothing is held. An INTENT counts in its slot alone; after one that is lost or comes in a later slot, two
devices in conflict may both start. An agent that misses the first mini-slot does not contend in that slot: it keeps x.

Empty queues: e^w = 10 q = 0, so such a device would never start; here it neither contends nor holds the subband that it
had; the text leaves this open. Mean delays in slots at loads 0.3 / 0.4 / 0.5 (fig. 8 has about 2.5 at 0.3):

    W                                       4                  8                  16                 32
    this one                                3.03 / 4.70 / 7.5  2.57 / 3.75 / 5.8  2.43 / 3.47 / 5.3  2.38 / 3.36 / 5.1
    empty queues contend, but do not hold   5.36 / 6.86 / 9.6  3.99 / 5.14 / 7.2  3.59 / 4.62 / 6.5  3.40 / 4.42 / 6.2
    they contend and hold (dummy tasks)     10.3 / 14.4 / 23   7.15 / 9.93 / 15   6.12 / 8.62 / 13   5.77 / 8.08 / 12

A short window loses slots to collisions: a device that keeps its x neither starts nor stops. With W = 1 all INTENTs of
a neighbourhood collide, and no device ever starts where two have tasks.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from struct import Struct
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Le

from protocol.messages.choreography import Choreography, agents_act, agents_exchange
from protocol.messages.kinds import NEIGHBOURS, Kind, LinkClass
from protocol.messages.node import Note, ReceivedNote, Welcome
from protocol.messages.spaces import Records, Space
from protocol.params import param
from schemes.contract import Card, NodePolicy, Scheme, TurnContext, TurnOutput
from schemes.parts.note_reader import NoteReader
from schemes.parts.replica_charge import ReplicaCharge
from schemes.zhang2025 import PAPER
from schemes.zhang2025.topology import LocalTopology, local_topology

_INTENT = Struct("<HB")  # device id, subband; then, for E > 1, a bit per replica
_GAIN = 10  # w = log(10 q)

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class QCsmaParams:
    """The control mini-slots of a slot."""

    window: Annotated[int, Ge(1), Le(256)] = param(
        16, "control mini-slots W per slot, each a turn", unit="turns", source="ours; the paper gives none"
    )


class QCsmaAgent(NodePolicy):
    """Contends in the mini-slots, then decides whether to transmit.

    State within a slot, per replica, own device and subband [E, n_own, H]: `_backoff`, the mini-slot of the own INTENT,
    and `_earliest`, the first one with a rival's; `window` stands for never. `_slot` is the slot they belong to.
    Between slots there is no state, as the last x is measured, but the remainder of what the air was charged.
    """

    def __init__(self, topology: LocalTopology, action: Space, replicas: int, window: int) -> None:
        self._topology, self._replicas, self._window = topology, replicas, window
        self._silence = action.empty(replicas)
        self._rivals = _rivals_of_own(topology)
        self._devices_of = {other.agent: other.devices for other in topology.neighbours}
        self._intents = NoteReader(Kind.CONTROL, self._devices_of, self._read_intent)
        self._intent_bits = (topology.n_devices - 1).bit_length() + (topology.subbands - 1).bit_length()
        self._charge = ReplicaCharge(replicas)
        self._begin_slot(-1)

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        if turn.slot != self._slot:
            self._begin_slot(turn.slot)
        if turn.step == "exchange":
            return TurnOutput(notes=tuple(self._contend(turn)))
        self._receive_intents(turn)
        return TurnOutput(self._decide(turn.measurement, turn.rng()))

    def snapshot(self) -> dict[str, Any]:
        return {
            "slot": self._slot,
            "backoff": self._backoff.copy(),
            "earliest": self._earliest.copy(),
            "charge": self._charge.remainder,
        }

    def restore(self, data: dict[str, Any]) -> None:
        self._slot, self._backoff, self._earliest = data["slot"], data["backoff"].copy(), data["earliest"].copy()
        self._charge.remainder = data["charge"]

    def _begin_slot(self, slot: int) -> None:
        """Clear the contention state."""
        shape = (self._replicas, len(self._topology.devices), self._topology.subbands)
        self._slot = slot
        self._backoff, self._earliest = (np.full(shape, self._window, np.int16) for _ in range(2))

    def _contend(self, turn: TurnContext) -> Iterator[Note]:
        """The INTENTs of one mini-slot."""
        if turn.turn == 0:
            self._draw_backoffs(turn)
        self._receive_intents(turn)
        sending = (self._backoff == turn.turn) & (self._earliest >= turn.turn)  # [E, n_own, H]
        for i, subband in np.argwhere(sending.any(0)).tolist():
            mask = sending[:, i, subband]
            self._mark(self._topology.devices[i], subband, turn.turn, mask)
            yield self._intent(self._topology.devices[i], subband, mask)

    def _draw_backoffs(self, turn: TurnContext) -> None:
        """Draw a backoff for each device with tasks; the others do not contend."""
        drawn = turn.rng().integers(0, self._window, self._backoff.shape, np.int16)
        self._backoff = np.where(turn.measurement["tasks"][:, :, None] > 0, drawn, np.int16(self._window))

    def _receive_intents(self, turn: TurnContext) -> None:
        for note, (device, subband, mask) in turn.read(self._intents):
            if note.slot == turn.slot:
                self._mark(device, subband, note.turn, mask)

    def _mark(self, device: int, subband: int, turn: int, mask: Flags) -> None:
        """Enter an INTENT of `device` in mini-slot `turn`, in the replicas of `mask` [E]."""
        rivals = self._rivals.get(device)
        if rivals is not None:
            sent_at = np.where(mask[:, None] & rivals, np.int16(turn), np.int16(self._window))  # [E, n_own]
            self._earliest[:, :, subband] = np.minimum(self._earliest[:, :, subband], sent_at)

    def _intent(self, device: int, subband: int, mask: Flags) -> Note:
        """A broadcast on the air, not over the backhaul; charged the bits that identify a device and a subband, in the
        share of the replicas that send it."""
        body = _INTENT.pack(device, subband)
        if self._replicas > 1:
            body += np.packbits(mask).tobytes()
        bits = self._charge.of(self._intent_bits * int(mask.sum()))
        return Note((NEIGHBOURS,), Kind.CONTROL, body, bits, LinkClass.SIDELINK)

    def _read_intent(self, intent: ReceivedNote) -> tuple[int, int, Flags]:
        """Device and subband of an INTENT, and the replicas in which it was sent, [E]."""
        device, subband = _INTENT.unpack_from(intent.body)
        if device not in self._devices_of[intent.source] or subband >= self._topology.subbands:
            raise ValueError(f"its sender has no device {device}, or there is no subband {subband}")
        mask = np.frombuffer(intent.body, np.uint8, offset=_INTENT.size)
        if len(mask) != (-(-self._replicas // 8) if self._replicas > 1 else 0):
            raise ValueError(f"an INTENT of {len(intent.body)} bytes does not fit {self._replicas} replicas")
        if self._replicas == 1:
            return device, subband, np.ones(1, bool)
        return device, subband, np.unpackbits(mask, count=self._replicas).astype(bool)

    def _decide(self, measured: Records, rng: np.random.Generator) -> Records:
        """Rule 4 for devices that have won their mini-slot, x(t-1) for the others."""
        chosen = self._backoff < self._earliest  # [E, n_own, H]
        x = np.where(chosen, self._starts(measured, rng), measured["active"] > 0)
        x &= (measured["tasks"] > 0)[:, :, None]
        action = self._silence.copy()
        action["device"] = np.where(x.any(1), x.argmax(1) + 1, 0)  # [E, H]
        return action

    def _starts(self, measured: Records, rng: np.random.Generator) -> Flags:
        """Whether a chosen device transmits, [E, n_own, H]: a free carrier, and the draw of e^w / (1 + e^w)."""
        e_w = _GAIN * measured["tasks"][:, :, None]
        others = measured["active"].sum(1, keepdims=True) > measured["active"]  # another own device was active
        starts: Flags = (measured["busy"] == 0) & ~others & (rng.random(self._backoff.shape) < e_w / (1 + e_w))
        return starts


def _rivals_of_own(topology: LocalTopology) -> dict[int, Flags]:
    """By device id, the own devices that must not be active with it, [n_own]; own devices exclude each other."""
    n_own = len(topology.devices)
    rivals = topology.rivals.copy()  # [n_own, n_around]
    rivals[:, :n_own] = ~np.eye(n_own, dtype=bool)
    return {device: rivals[:, i] for i, device in enumerate(topology.around)}


def choreography(params: QCsmaParams) -> Choreography:
    """The queues are measured once, before the first mini-slot."""
    further = (agents_exchange(repeat=params.window - 1),) if params.window > 1 else ()
    return Choreography((agents_exchange("queues"), *further, agents_act("carrier")))


def agent(welcome: Welcome, params: QCsmaParams) -> QCsmaAgent:
    return QCsmaAgent(local_topology(welcome), welcome.action, welcome.replicas, params.window)


CARD = Card(
    name="zhang2025/q_csma",
    summary="distributed: contend by INTENTs in mini-slots, then transmit with a probability that grows with the queue",
    citation="Zhang and Guo 2025, sec. IV-B, benchmark 3; Ni, Tan, Srikant, Q-CSMA, arXiv 0901.2333",
    paper=PAPER,
    equations="p = e^w / (1 + e^w), w = log(10 q)",
    worlds=("conflict_graph",),
    observes="own queue lengths [n_own, tasks]; own and conflicting activity of the last slot [n_own, H, 0/1]",
    sends="control: each INTENT a broadcast on the air, 3 bytes (5 bits in fig. 2: device and subband); "
    "fig. 2 at load 0.3: about 5.4 INTENTs, 16 bytes, 27 bits per slot",
    deviations=(
        "1. W = 16 and log(10 q) are not in the paper",
        "2. a device with an empty queue neither contends nor holds its subband; see the table of alternatives",
        "3. an agent's devices exclude each other even where the graph has no conflict between them",
    ),
    reproduces="fig. 8: 2.43 slots at load 0.3 (paper about 2.5)",
    fallback="silent",
)
SCHEME = Scheme(CARD, choreography, agent, params=QCsmaParams)
