"""The relay: takes the nodes' outboxes, books every transmission attempt, fills inboxes.

Between sending and reading lies the signalling model: `LinkQueues` determines when a note's last bit leaves, `Losses`
which receivers lose their copy, and the plan how much later the others receive it. Without a model, a note sent in turn
k is readable from turn k + 1 on. It waits in the inbox until its receiver has a turn.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import product
from typing import Any

from msgspec.msgpack import decode, encode
from msgspec.structs import replace

from channel_server.held_bytes import HeldBytes
from channel_server.link_queues import BROADCAST, LinkQueues, RadioBits, Transmission, by_order
from channel_server.losses import Losses
from channel_server.routes import Neighbours, Routes
from channel_server.weights_ledger import SentWeights, WeightsLedger
from protocol.accounting.air_book import AirRow, AttemptOutcome
from protocol.messages.kinds import NEIGHBOURS, Kind, LinkClass
from protocol.messages.node import Note, ReceivedNote
from protocol.messages.signalling import SignallingPlan


class Relay:
    """Notes on their way between agents, trainer and infrastructure. The air is charged for one of the replicas.

    `routes`: which of them it relays, and whereto. `held`: the memory of those that have not arrived.
    """

    def __init__(
        self, routes: Routes, plan: SignallingPlan, *, seed: int, replicas: int, radio_bits: RadioBits
    ) -> None:
        self.routes = routes
        self._trainer = routes.trainer
        self._replicas = replicas
        self._inboxes: list[list[ReceivedNote]] = [[] for _ in range(self._trainer + 1)]
        self._rows: list[AirRow] = []
        self._order = 0  # of the newest note
        self._links = LinkQueues(plan, radio_bits)
        self._losses = Losses(plan, seed)
        self._delays = {(rule.link, rule.kind): rule.delay_slots for rule in plan.rules if rule.delay_slots}
        self._may_wait = self._delays.keys() | set(product(self._links.rationed, Kind))
        self._flights: dict[int, list[Transmission]] = {}  # notes whose last bit has left, by the slot of arrival
        self._weights = WeightsLedger(trainer=self._trainer)
        self.held = HeldBytes()

    def open(self, slot: int, *, gone: Collection[int]) -> None:
        """Begin a slot: the links get new budgets and serve their queues; what is due arrives. Call it every slot."""
        arriving = self._flights.pop(slot, []) + self._without_delay(self._links.open(), slot)
        for transmission in sorted(arriving, key=by_order):
            self.held.release(transmission)
            self._arrive(transmission, slot, gone)

    def post(
        self, slot: int, turn: int, source: int, notes: Sequence[Note], *, gone: Collection[int], neighbours: Neighbours
    ) -> None:
        """Take one node's outbox. `gone`: nodes that are lost and receive nothing."""
        for note in notes:
            kind = note.kind
            to, link = self.routes.route(note, source, neighbours)
            reached = self._losses.survivors(slot, turn, source, link, kind, to)
            received = ReceivedNote(source, kind, slot, turn, note.body, note.sequence)
            bits = note.charged_bits(self._replicas)
            if kind == Kind.WEIGHTS:
                self._weights.sent(SentWeights(received, note.link, bits, note.attempt), to)
            if link == LinkClass.BACKHAUL and not to:
                bits = 0  # by no wire: it is no transmission, but the book has it
            self._order += 1
            if (link, kind) in self._may_wait:
                destination = to[0] if len(note.to) == 1 and note.to != (NEIGHBOURS,) else BROADCAST
                sent = Transmission(self._order, received, to, destination, reached, link, note.attempt, bits)
                for transmission in _by_wire(sent) if link == LinkClass.BACKHAUL and to else (sent,):
                    self._send(transmission, slot, gone)
            else:  # late by no rule: it arrives, and no attempt of it can wait anywhere
                present = self._deliver(received, reached, gone)
                if link == LinkClass.BACKHAUL and to:
                    self._rows += _over_wires(received, to, reached, present, note.attempt, bits)
                    continue
                outcome = AttemptOutcome.DELIVERED if present is to else _outcome(to, reached, present)
                head = (slot, turn, source, to, link, kind, note.attempt, outcome, bits)
                self._rows.append(AirRow(*head, received.size_bytes, len(present), slot))

    def resend_weights(self, slot: int, node: int) -> None:
        """Send a node that came back the newest weights that it was ever sent, as a further attempt."""
        if weights := self._weights.resent(node, slot):
            self._send_weights(weights, node, slot, ())

    def put_weights(self, slot: int, node: int, body: bytes, *, gone: Collection[int]) -> None:
        """Send a node uploaded weights, in the trainer's name, with a number above those the trainer has used."""
        sequence = self._weights.next_sequence(node, slot)
        note = ReceivedNote(self._trainer, Kind.WEIGHTS, slot, 0, body, sequence)
        weights = SentWeights(note, None, 8 * note.size_bytes, 1)
        self._weights.uploaded(weights, node)
        self._send_weights(weights, node, slot, gone)

    def overdue(self, slot: int, after: int) -> list[int]:
        """The nodes that have not acknowledged uploaded weights for `after` slots."""
        return self._weights.overdue(slot, after)

    @property
    def awaits_acks(self) -> bool:
        """Whether the acknowledgement of an agent's newest weights has not reached the trainer."""
        return self._weights.awaits_acks

    @property
    def delivered_weights(self) -> dict[int, ReceivedNote]:
        """By node, the newest weights that reached it."""
        return self._weights.delivered

    def cut(self, slot: int) -> None:
        """End the run: book what has not arrived."""
        late = [transmission for flight in self._flights.values() for transmission in flight]
        for transmission in sorted(self._links.waiting + late, key=by_order):
            self._rows.append(transmission.row(AttemptOutcome.CUT, 0, slot))

    def unread(self, slot: int, turn: int, node: int, inbox: Sequence[ReceivedNote]) -> None:
        """Book what a lost node received and will not read: the notes of its last turn, and its inbox."""
        for note in [*inbox, *self.collect(node)]:
            head = (slot, turn, note.source, (node,), self.routes.link(note.source, (node,)), note.kind)
            self._rows.append(AirRow(*head, 0, AttemptOutcome.UNREAD, 0, note.size_bytes, -1, slot))

    def waiting(self, node: int) -> bool:
        """Whether notes wait in a node's inbox."""
        return bool(self._inboxes[node])

    def collect(self, node: int) -> list[ReceivedNote]:
        """Empty a node's inbox: notes in the order of arrival, those that arrived together in the order of sending."""
        inbox = self._inboxes[node]
        if not inbox:
            # never the inbox itself: a Turn may be encoded after the next slot's notes have arrived in it
            return []
        self._inboxes[node] = []
        return inbox

    def drain_rows(self) -> list[AirRow]:
        """The air book's rows since the last call."""
        rows, self._rows = self._rows, []
        return rows

    def snapshot(self) -> dict[str, Any]:
        """The state between two slots: notes on their way, unread notes, weights."""
        return {
            "inboxes": [[encode(note) for note in inbox] for inbox in self._inboxes],
            "order": self._order,
            "queued": self._links.snapshot(),
            "flights": [[slot, [encode(late) for late in flight]] for slot, flight in self._flights.items()],
            "weights": self._weights.snapshot(),
        }

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._inboxes = [[decode(note, type=ReceivedNote) for note in inbox] for inbox in data["inboxes"]]
        self._order = data["order"]
        self._links.restore(data["queued"])
        self._flights = {slot: [decode(late, type=Transmission) for late in flight] for slot, flight in data["flights"]}
        self._weights.restore(data["weights"])
        flying = (late for flight in self._flights.values() for late in flight)
        for transmission in (*self._links.waiting, *flying):
            self.held.hold(transmission)

    def _send_weights(self, weights: SentWeights, node: int, slot: int, gone: Collection[int]) -> None:
        """Send one node weights that did not come over their source's wire in this slot."""
        link = self.routes.link(weights.note.source, (node,)) if weights.link is None else weights.link
        reached = self._losses.survivors_of_resending(slot, link, node)
        self._order += 1
        head = (self._order, weights.note, (node,), node, reached, link)
        self._send(Transmission(*head, weights.attempts, weights.bits, repeated=True), slot, gone)

    def _send(self, transmission: Transmission, slot: int, gone: Collection[int]) -> None:
        """Put a note on its link, unless an earlier attempt of it is still on its way."""
        if transmission.attempt > 1 and self._under_way(transmission):
            self._rows.append(transmission.row(AttemptOutcome.QUEUED, 0, slot))
            return
        if transmission.note.kind == Kind.WEIGHTS:
            for older in self._links.withdraw_older(transmission):
                self.held.release(older)
                self._rows.append(older.row(AttemptOutcome.REPLACED, 0, slot))
        self.held.hold(transmission)
        for arriving in self._without_delay(self._links.send(transmission), slot):
            self.held.release(arriving)
            self._arrive(arriving, slot, gone)

    def _under_way(self, transmission: Transmission) -> bool:
        flying = (late for flight in self._flights.values() for late in flight)
        return self._links.waits(transmission) or any(map(transmission.repeats, flying))

    def _without_delay(self, left: Iterable[Transmission], slot: int) -> list[Transmission]:
        """Of those whose last bit left in this slot, the ones that arrive at once; the others arrive later."""
        at_once = []
        for transmission in left:
            if delay := self._delays.get((transmission.link, transmission.note.kind), 0):
                self._flights.setdefault(slot + delay, []).append(transmission)
            else:
                at_once.append(transmission)
        return at_once

    def _arrive(self, transmission: Transmission, slot: int, gone: Collection[int]) -> None:
        reached = transmission.receivers_reached
        present = self._deliver(transmission.note, reached, gone)
        self._rows.append(transmission.row(_outcome(transmission.to, reached, present), len(present), slot))

    def _deliver(self, note: ReceivedNote, reached: tuple[int, ...], gone: Collection[int]) -> Sequence[int]:
        """Put a note into inboxes; the receivers of those."""
        present = [node for node in reached if node not in gone] if gone else reached
        for node in present:
            self._inboxes[node].append(note)
        if note.kind == Kind.ACK and self._trainer in present:
            self._weights.acknowledged(note)
        elif note.kind == Kind.WEIGHTS:
            self._weights.arrived(note, present)
        return present


def _outcome(to: Sequence[int], reached: Sequence[int], present: Sequence[int]) -> AttemptOutcome:
    """Of an attempt whose copies reached some of its receivers, of whom some are present."""
    if len(reached) < len(to):
        return AttemptOutcome.LOST
    return AttemptOutcome.GONE if len(present) < len(reached) else AttemptOutcome.DELIVERED


def _over_wires(
    note: ReceivedNote, to: Sequence[int], reached: Sequence[int], present: Sequence[int], attempt: int, bits: int
) -> list[AirRow]:
    """The rows of a note that arrives in its slot over a backhaul: to each receiver by a wire of its own."""
    rows, copied, link = [], False, LinkClass.BACKHAUL
    slot, turn, source, kind, size = note.slot, note.turn, note.source, note.kind, note.size_bytes
    for node in to:
        outcome, copies = AttemptOutcome.DELIVERED, 1
        if node not in present:
            outcome, copies = AttemptOutcome.GONE if node in reached else AttemptOutcome.LOST, 0
        wire = (slot, turn, source, (node,), link, kind, attempt, outcome, bits, size, copies, slot, False, copied)
        rows.append(AirRow(*wire))
        copied = True
    return rows


def _by_wire(sent: Transmission) -> Iterator[Transmission]:
    """Over a backhaul to each receiver by a wire of its own."""
    for node in sent.to:
        reached = (node,) if node in sent.receivers_reached else ()
        copied = node != sent.to[0]
        yield replace(sent, to=(node,), destination=node, receivers_reached=reached, copied=copied)
