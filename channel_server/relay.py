"""The relay: takes what nodes tell each other, books every transmission attempt, fills inboxes.

Between telling and reading stands the signalling model: `LinkQueues` says when a note's last bit leaves, `Losses` who
loses the copy, the plan how much later the others have it. Without a model a note told in turn k is readable from turn
k + 1 on. It waits in the inbox until its receiver is asked.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from msgspec.msgpack import decode, encode

from channel_server.link_queues import ALL, LinkQueues, Passage, RadioBits
from channel_server.losses import Losses
from protocol.accounting.air_book import AirRow, Outcome
from protocol.messages.kinds import NEIGHBOURS, TRAINER, Kind, LinkClass
from protocol.messages.node import NUMBER, Letter, Note
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
        self._inboxes: list[list[Letter]] = [[] for _ in range(agents + 1)]
        self._rows: list[AirRow] = []
        self._order = 0  # of the next attempt
        self._links = LinkQueues(plan, radio_bits)
        self._losses = Losses(plan, seed)
        self._delays = {(rule.link, rule.kind): rule.delay_slots for rule in plan.rules if rule.delay_slots}
        self._flights: dict[int, list[Passage]] = {}  # what has left and is late, by the slot of its arrival
        self._weights: dict[int, tuple[Letter, Note, int]] = {}  # by receiver: the newest, and how often it was told
        self._unacknowledged: dict[int, bytes] = {}  # the number of its weights, by receivers without a word
        self._by_hand: dict[int, int] = {}  # by receivers whose newest were put by hand: the slot they were last told
        self.given: dict[int, Letter] = {}  # by node: the newest weights that reached it

    def open(self, slot: int, *, gone: Collection[int]) -> None:
        """A slot begins: what waits is served from fresh budgets, what is due arrives. To be called for every slot."""
        arriving = self._flights.pop(slot, []) + self._departed(self._links.open(), slot)
        for passage in sorted(arriving, key=lambda passage: passage.order):
            self._arrive(passage, slot, gone)

    def post(
        self, slot: int, turn: int, source: int, notes: Sequence[Note], *, gone: Collection[int], neighbours: Neighbours
    ) -> None:
        """Take one node's outbox. `gone`: nodes that are not there to hear."""
        for note in notes:
            to = self._resolve(note.to, source, neighbours)
            link = self._link(source, to) if note.link is None else note.link
            reaches = self._losses.survivors(slot, turn, source, link, note.kind, to)
            letter = Letter(source, note.kind, slot, turn, note.body)
            if note.kind == Kind.WEIGHTS:
                self._remember(letter, note, to)
            destination = to[0] if len(note.to) == 1 and note.to != (NEIGHBOURS,) else ALL
            self._tell(self._passage(letter, note, to, destination, reaches, link, note.attempt), slot, gone)

    def retell_weights(self, slot: int, node: int) -> None:
        """A node that comes back is told the newest weights it was ever told, as a further attempt."""
        if node in self._weights:
            letter, note, attempts = self._weights[node]
            self._weights[node] = (letter, note, attempts + 1)
            if node in self._by_hand:
                self._by_hand[node] = slot
            self._tell_by_itself(node, letter, note, attempts + 1, slot, ())

    def put_weights(self, slot: int, node: int, body: bytes, *, gone: Collection[int]) -> None:
        """Weights by hand, as if the trainer told them: numbered past all that it has told the node by now."""
        newest = _number_of(self._weights[node][0]) if node in self._weights else 0
        number = max(slot, newest) + 1
        note = Note((node,), Kind.WEIGHTS, NUMBER.pack(number) + body)
        letter = Letter(self._agents, note.kind, slot, 0, note.body)
        self._remember(letter, note, note.to)
        self._by_hand[node] = slot
        self._tell_by_itself(node, letter, note, 1, slot, gone)

    def overdue(self, slot: int, after: int) -> list[int]:
        """Who has not acknowledged weights by hand that it was told `after` slots ago: no session tells it again."""
        told = self._by_hand.items()
        return [node for node, last in told if node in self._unacknowledged and slot - last >= after]

    def _tell_by_itself(
        self, node: int, letter: Letter, note: Note, attempt: int, slot: int, gone: Collection[int]
    ) -> None:
        """To one node, though the source has not told it in this slot."""
        link = self._link(letter.source, (node,)) if note.link is None else note.link
        reaches = self._losses.survivors_of_retelling(slot, link, node)
        passage = self._passage(letter, note, (node,), node, reaches, link, attempt)
        passage.repeated = True
        self._tell(passage, slot, gone)

    @property
    def awaits_acknowledgements(self) -> bool:
        """Whether the trainer has told an agent weights without a word, as far as arrived, that it has the newest."""
        return bool(self._unacknowledged)

    def cut(self, slot: int) -> None:
        """The run ends: book what has not arrived."""
        late = [passage for flight in self._flights.values() for passage in flight]
        for passage in sorted(self._links.waiting + late, key=lambda passage: passage.order):
            self._rows.append(passage.row(Outcome.CUT, 0, slot))

    def unread(self, slot: int, turn: int, node: int, handed: Sequence[Letter]) -> None:
        """Book what a node that is gone was told and will not read: what it was handed last, and its inbox."""
        for letter in [*handed, *self.collect(node)]:
            link = self._link(letter.source, (node,))
            size = len(letter.body)
            self._rows.append(
                AirRow(slot, turn, letter.source, (node,), link, letter.kind, 0, Outcome.UNREAD, 0, size, -1, slot)
            )

    def waiting(self, node: int) -> bool:
        """Whether letters wait in a node's inbox."""
        return bool(self._inboxes[node])

    def collect(self, node: int) -> list[Letter]:
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
        """All that is on its way between two slots, unread letters, and the newest weights."""
        return {
            "inboxes": [[encode(letter) for letter in inbox] for inbox in self._inboxes],
            "order": self._order,
            "queued": self._links.snapshot(),
            "flights": [[slot, [encode(passage) for passage in flight]] for slot, flight in self._flights.items()],
            "weights": [[node, *map(encode, told[:2]), told[2]] for node, told in self._weights.items()],
            "unacknowledged": [list(pair) for pair in self._unacknowledged.items()],
            "by_hand": [list(pair) for pair in self._by_hand.items()],
            "given": [[node, encode(letter)] for node, letter in self.given.items()],
        }

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._inboxes = [[decode(letter, type=Letter) for letter in inbox] for inbox in data["inboxes"]]
        self._order = data["order"]
        self._links.restore(data["queued"])
        self._flights = {slot: [decode(raw, type=Passage) for raw in flight] for slot, flight in data["flights"]}
        self._weights = {
            node: (decode(letter, type=Letter), decode(note, type=Note), attempts)
            for node, letter, note, attempts in data["weights"]
        }
        self._unacknowledged = dict(data["unacknowledged"])
        self._by_hand = dict(data["by_hand"])
        self.given = {node: decode(letter, type=Letter) for node, letter in data["given"]}

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

    def _remember(self, letter: Letter, note: Note, to: tuple[int, ...]) -> None:
        """The newest weights of their receivers."""
        self._weights.update((node, (letter, note, note.attempt)) for node in to)
        for node in to:
            self._by_hand.pop(node, None)
        if letter.source == self._agents:
            self._unacknowledged.update((node, note.body[: NUMBER.size]) for node in to)

    def _passage(
        self,
        letter: Letter,
        note: Note,
        to: tuple[int, ...],
        destination: int,
        reaches: tuple[int, ...],
        link: LinkClass,
        attempt: int,
    ) -> Passage:
        bits = 8 * len(note.body) if note.payload_bits is None else note.payload_bits
        self._order += 1
        return Passage(self._order, letter, to, destination, reaches, link, attempt, bits)

    def _tell(self, passage: Passage, slot: int, gone: Collection[int]) -> None:
        """Send a note on its way, unless its attempt before still is."""
        if passage.attempt > 1 and self._under_way(passage):
            self._rows.append(passage.row(Outcome.QUEUED, 0, slot))
            return
        if passage.letter.kind == Kind.WEIGHTS:
            for older in self._links.withdraw(passage.lane, Kind.WEIGHTS):
                self._rows.append(older.row(Outcome.REPLACED, 0, slot))
        for arriving in self._departed(self._links.send(passage), slot):
            self._arrive(arriving, slot, gone)

    def _under_way(self, passage: Passage) -> bool:
        flying = (late for flight in self._flights.values() for late in flight)
        return self._links.waits(passage) or any(map(passage.repeats, flying))

    def _departed(self, left: Iterable[Passage], slot: int) -> list[Passage]:
        """Of those whose last bit left in this slot, who is there at once; the others are late."""
        at_once = []
        for passage in left:
            delay = self._delays.get((passage.link, passage.letter.kind), 0)
            if delay:
                self._flights.setdefault(slot + delay, []).append(passage)
            else:
                at_once.append(passage)
        return at_once

    def _arrive(self, passage: Passage, slot: int, gone: Collection[int]) -> None:
        heard = [node for node in passage.reaches if node not in gone]
        for node in heard:
            self._inboxes[node].append(passage.letter)
        if passage.letter.kind == Kind.ACK and self._agents in heard:
            self._acknowledged(passage.letter)
        elif passage.letter.kind == Kind.WEIGHTS:
            self._give(passage.letter, heard)
        lost, missing = len(passage.reaches) < len(passage.to), len(heard) < len(passage.reaches)
        outcome = Outcome.LOST if lost else Outcome.GONE if missing else Outcome.DELIVERED
        self._rows.append(passage.row(outcome, len(heard), slot))

    def _give(self, weights: Letter, nodes: Iterable[int]) -> None:
        """Weights that overtook others stay the newest."""
        for node in nodes:
            if node not in self.given or _number_of(weights) > _number_of(self.given[node]):
                self.given[node] = weights

    def _acknowledged(self, ack: Letter) -> None:
        """The trainer has word of weights; of the newest if the number is theirs."""
        if self._unacknowledged.get(ack.source) == ack.body:
            del self._unacknowledged[ack.source]

    def _link(self, source: int, to: tuple[int, ...]) -> LinkClass:
        if source >= self._agents:
            return LinkClass.DOWNLINK
        return LinkClass.UPLINK if self._agents in to else self._agent_link


def _number_of(letter: Letter) -> int:
    return int.from_bytes(letter.body[: NUMBER.size], "little")
