"""The relay: takes what nodes tell each other, books every transmission attempt, fills inboxes.

Between telling and reading stands the signalling model: `LinkQueues` says when a note's last bit leaves, `Losses` who
loses the copy, the plan how much later the others have it. Without a model a note told in turn k is readable from turn
k + 1 on. It waits in the inbox until its receiver is asked.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from msgspec.msgpack import decode, encode

from channel_server.link_queues import ALL, LinkQueues, RadioBits, Transmission
from channel_server.losses import Losses
from protocol.accounting.air_book import AirRow, Outcome
from protocol.messages.kinds import NEIGHBOURS, TRAINER, Kind, LinkClass
from protocol.messages.node import NUMBER, Note, ReceivedNote
from protocol.messages.signalling import SignallingPlan

Neighbours = Callable[[], Sequence[tuple[int, ...]]]


class Relay:
    """Notes on their way between `agents` agents, the trainer (index `agents`) and the network's parties."""

    def __init__(
        self,
        agents: int,
        agent_link: LinkClass,
        has_trainer: bool,
        plan: SignallingPlan,
        *,
        seed: int,
        radio_bits: RadioBits,
    ) -> None:
        self._agents = agents
        self._agent_link = agent_link
        self._nodes = agents + has_trainer
        self._inboxes: list[list[ReceivedNote]] = [[] for _ in range(agents + 1)]
        self._rows: list[AirRow] = []
        self._order = 0  # of the next attempt
        self._links = LinkQueues(plan, radio_bits)
        self._losses = Losses(plan, seed)
        self._delays = {(rule.link, rule.kind): rule.delay_slots for rule in plan.rules if rule.delay_slots}
        self._flights: dict[int, list[Transmission]] = {}  # what has left and is late, by the slot of its arrival
        self._weights: dict[
            int, tuple[ReceivedNote, Note, int]
        ] = {}  # by receiver: the newest, and how often it was told
        self._unacknowledged: dict[int, bytes] = {}  # the number of its weights, by receivers without a word
        self._uploaded: dict[int, int] = {}  # by receivers whose newest were put by hand: the slot they were last told
        self.given: dict[int, ReceivedNote] = {}  # by node: the newest weights that reached it

    def open(self, slot: int, *, gone: Collection[int]) -> None:
        """A slot begins: what waits is served from fresh budgets, what is due arrives. To be called for every slot."""
        arriving = self._flights.pop(slot, []) + self._departed(self._links.open(), slot)
        for transmission in sorted(arriving, key=lambda transmission: transmission.order):
            self._arrive(transmission, slot, gone)

    def post(
        self, slot: int, turn: int, source: int, notes: Sequence[Note], *, gone: Collection[int], neighbours: Neighbours
    ) -> None:
        """Take one node's outbox. `gone`: nodes that are not there to hear."""
        for note in notes:
            to = self._resolve(note.to, source, neighbours)
            link = self._link(source, to) if note.link is None else note.link
            receivers_reached = self._losses.survivors(slot, turn, source, link, note.kind, to)
            received = ReceivedNote(source, note.kind, slot, turn, note.body)
            if note.kind == Kind.WEIGHTS:
                self._remember(received, note, to)
            destination = to[0] if len(note.to) == 1 and note.to != (NEIGHBOURS,) else ALL
            self._tell(
                self._transmission(received, note, to, destination, receivers_reached, link, note.attempt), slot, gone
            )

    def resend_weights(self, slot: int, node: int) -> None:
        """A node that comes back is told the newest weights it was ever told, as a further attempt."""
        if node in self._weights:
            received, note, attempts = self._weights[node]
            self._weights[node] = (received, note, attempts + 1)
            if node in self._uploaded:
                self._uploaded[node] = slot
            self._send_from_relay(node, received, note, attempts + 1, slot, ())

    def put_weights(self, slot: int, node: int, body: bytes, *, gone: Collection[int]) -> None:
        """Weights by hand, as if the trainer told them: numbered past all that it has told the node by now."""
        newest = _number_of(self._weights[node][0]) if node in self._weights else 0
        number = max(slot, newest) + 1
        note = Note((node,), Kind.WEIGHTS, NUMBER.pack(number) + body)
        received = ReceivedNote(self._agents, note.kind, slot, 0, note.body)
        self._remember(received, note, note.to)
        self._uploaded[node] = slot
        self._send_from_relay(node, received, note, 1, slot, gone)

    def overdue(self, slot: int, after: int) -> list[int]:
        """Who has not acknowledged weights by hand that it was told `after` slots ago: no session tells it again."""
        told = self._uploaded.items()
        return [node for node, last in told if node in self._unacknowledged and slot - last >= after]

    def _send_from_relay(
        self, node: int, received: ReceivedNote, note: Note, attempt: int, slot: int, gone: Collection[int]
    ) -> None:
        """To one node, though the source has not told it in this slot."""
        link = self._link(received.source, (node,)) if note.link is None else note.link
        receivers_reached = self._losses.survivors_of_resending(slot, link, node)
        transmission = self._transmission(received, note, (node,), node, receivers_reached, link, attempt)
        transmission.repeated = True
        self._tell(transmission, slot, gone)

    @property
    def awaits_acks(self) -> bool:
        """Whether the trainer has told an agent weights without a word, as far as arrived, that it has the newest."""
        return bool(self._unacknowledged)

    def cut(self, slot: int) -> None:
        """The run ends: book what has not arrived."""
        late = [transmission for flight in self._flights.values() for transmission in flight]
        for transmission in sorted(self._links.waiting + late, key=lambda transmission: transmission.order):
            self._rows.append(transmission.row(Outcome.CUT, 0, slot))

    def unread(self, slot: int, turn: int, node: int, handed: Sequence[ReceivedNote]) -> None:
        """Book what a node that is gone was told and will not read: what it was handed last, and its inbox."""
        for received in [*handed, *self.collect(node)]:
            link = self._link(received.source, (node,))
            size = len(received.body)
            self._rows.append(
                AirRow(slot, turn, received.source, (node,), link, received.kind, 0, Outcome.UNREAD, 0, size, -1, slot)
            )

    def waiting(self, node: int) -> bool:
        """Whether notes wait in a node's inbox."""
        return bool(self._inboxes[node])

    def collect(self, node: int) -> list[ReceivedNote]:
        """A node's inbox, emptied; in the order of arrival, and of those that arrived together as they were told."""
        inbox = self._inboxes[node]
        if inbox:
            self._inboxes[node] = []
        return inbox

    def drain_rows(self) -> list[AirRow]:
        """The air book's rows since the last call."""
        rows, self._rows = self._rows, []
        return rows

    def snapshot(self) -> dict[str, Any]:
        """All that is on its way between two slots, unread notes, and the newest weights."""
        return {
            "inboxes": [[encode(received) for received in inbox] for inbox in self._inboxes],
            "order": self._order,
            "queued": self._links.snapshot(),
            "flights": [
                [slot, [encode(transmission) for transmission in flight]] for slot, flight in self._flights.items()
            ],
            "weights": [[node, *map(encode, told[:2]), told[2]] for node, told in self._weights.items()],
            "unacknowledged": [list(pair) for pair in self._unacknowledged.items()],
            "uploaded": [list(pair) for pair in self._uploaded.items()],
            "given": [[node, encode(received)] for node, received in self.given.items()],
        }

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._inboxes = [[decode(received, type=ReceivedNote) for received in inbox] for inbox in data["inboxes"]]
        self._order = data["order"]
        self._links.restore(data["queued"])
        self._flights = {slot: [decode(raw, type=Transmission) for raw in flight] for slot, flight in data["flights"]}
        self._weights = {
            node: (decode(received, type=ReceivedNote), decode(note, type=Note), attempts)
            for node, received, note, attempts in data["weights"]
        }
        self._unacknowledged = dict(data["unacknowledged"])
        self._uploaded = dict(data["uploaded"])
        self.given = {node: decode(received, type=ReceivedNote) for node, received in data["given"]}

    def fault(self, source: int, notes: Sequence[Note]) -> str:
        """Why these notes cannot be relayed, or ""."""
        for note in notes:
            reason = self._fault_of(source, note)
            if reason:
                return f"a {note.kind.name.lower()} note {reason}"
        return ""

    def _fault_of(self, source: int, note: Note) -> str:
        if note.payload_bits is not None and note.payload_bits < 0:
            return "of negative bits"
        if source == self._agents and min(note.to, default=0) < 0:
            return "of the trainer to a place only agents know"
        if note.to == (TRAINER,):
            return "" if self._nodes > self._agents else "to the trainer of a run that has none"
        if note.to == (NEIGHBOURS,):
            return ""
        others = set(range(self._nodes)) - {source}
        return "" if note.to and len(set(note.to)) == len(note.to) and others.issuperset(note.to) else "to nowhere"

    def _resolve(self, to: tuple[int, ...], source: int, neighbours: Neighbours) -> tuple[int, ...]:
        if to == (NEIGHBOURS,):
            return tuple(neighbours()[source])
        if to == (TRAINER,):
            return (self._agents,)
        return to

    def _remember(self, received: ReceivedNote, note: Note, to: tuple[int, ...]) -> None:
        """The newest weights of their receivers."""
        self._weights.update((node, (received, note, note.attempt)) for node in to)
        for node in to:
            self._uploaded.pop(node, None)
        if received.source == self._agents:
            self._unacknowledged.update((node, note.body[: NUMBER.size]) for node in to)

    def _transmission(
        self,
        received: ReceivedNote,
        note: Note,
        to: tuple[int, ...],
        destination: int,
        receivers_reached: tuple[int, ...],
        link: LinkClass,
        attempt: int,
    ) -> Transmission:
        bits = 8 * len(note.body) if note.payload_bits is None else note.payload_bits
        self._order += 1
        return Transmission(self._order, received, to, destination, receivers_reached, link, attempt, bits)

    def _tell(self, transmission: Transmission, slot: int, gone: Collection[int]) -> None:
        """Send a note on its way, unless its attempt before still is."""
        if transmission.attempt > 1 and self._under_way(transmission):
            self._rows.append(transmission.row(Outcome.QUEUED, 0, slot))
            return
        if transmission.received.kind == Kind.WEIGHTS:
            for older in self._links.withdraw(transmission.link_id, Kind.WEIGHTS):
                self._rows.append(older.row(Outcome.REPLACED, 0, slot))
        for arriving in self._departed(self._links.send(transmission), slot):
            self._arrive(arriving, slot, gone)

    def _under_way(self, transmission: Transmission) -> bool:
        flying = (late for flight in self._flights.values() for late in flight)
        return self._links.waits(transmission) or any(map(transmission.repeats, flying))

    def _departed(self, left: Iterable[Transmission], slot: int) -> list[Transmission]:
        """Of those whose last bit left in this slot, who is there at once; the others are late."""
        at_once = []
        for transmission in left:
            delay = self._delays.get((transmission.link, transmission.received.kind), 0)
            if delay:
                self._flights.setdefault(slot + delay, []).append(transmission)
            else:
                at_once.append(transmission)
        return at_once

    def _arrive(self, transmission: Transmission, slot: int, gone: Collection[int]) -> None:
        heard = [node for node in transmission.receivers_reached if node not in gone]
        for node in heard:
            self._inboxes[node].append(transmission.received)
        if transmission.received.kind == Kind.ACK and self._agents in heard:
            self._acknowledged(transmission.received)
        elif transmission.received.kind == Kind.WEIGHTS:
            self._give(transmission.received, heard)
        lost, missing = (
            len(transmission.receivers_reached) < len(transmission.to),
            len(heard) < len(transmission.receivers_reached),
        )
        outcome = Outcome.LOST if lost else Outcome.GONE if missing else Outcome.DELIVERED
        self._rows.append(transmission.row(outcome, len(heard), slot))

    def _give(self, weights: ReceivedNote, nodes: Iterable[int]) -> None:
        """Weights that overtook others stay the newest."""
        for node in nodes:
            if node not in self.given or _number_of(weights) > _number_of(self.given[node]):
                self.given[node] = weights

    def _acknowledged(self, ack: ReceivedNote) -> None:
        """The trainer has word of weights; of the newest if the number is theirs."""
        if self._unacknowledged.get(ack.source) == ack.body:
            del self._unacknowledged[ack.source]

    def _link(self, source: int, to: tuple[int, ...]) -> LinkClass:
        if source >= self._agents:
            return LinkClass.DOWNLINK
        return LinkClass.UPLINK if self._agents in to else self._agent_link


def _number_of(received: ReceivedNote) -> int:
    return int.from_bytes(received.body[: NUMBER.size], "little")
