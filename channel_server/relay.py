"""The relay: takes what nodes tell each other, books every transmission attempt, fills inboxes.

Signalling is ideal: no delay, no loss, no budget. A note told in turn k is readable from turn k + 1 on; it waits in
the inbox until its receiver is asked. The signalling model will stand between `post` and the inboxes.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from msgspec import structs
from msgspec.msgpack import decode, encode

from protocol.air_book import AirRow, Outcome
from protocol.kinds import NEIGHBOURS, TRAINER, Kind, LinkClass
from protocol.messages import Letter, Note

Neighbours = Callable[[], Sequence[tuple[int, ...]]]


class Relay:
    """Notes in flight between `agents` agents, the trainer (index `agents`) and the network's parties."""

    def __init__(self, agents: int, agent_link: LinkClass, has_trainer: bool) -> None:
        self._agents = agents
        self._agent_link = agent_link
        self._nodes = agents + has_trainer
        self._inboxes: list[list[Letter]] = [[] for _ in range(agents + 1)]
        self._rows: list[AirRow] = []
        self._weights: dict[int, tuple[Letter, Note, int]] = {}  # by receiver: the newest, and how often it was told

    def post(
        self, slot: int, turn: int, source: int, notes: Sequence[Note], *, gone: Collection[int], neighbours: Neighbours
    ) -> None:
        """Book and deliver one node's outbox. `gone`: nodes that are not there to hear."""
        for note in notes:
            to = self._resolve(note.to, source, neighbours)
            heard = [node for node in to if node not in gone]
            letter = Letter(source, note.kind, slot, turn, note.body)
            for node in heard:
                self._inboxes[node].append(letter)
            if note.kind == Kind.WEIGHTS:
                self._weights.update((node, (letter, note, 1)) for node in to)
            self._rows.append(self._row(letter, note, to, len(heard)))

    def retell_weights(self, node: int) -> None:
        """A node that comes back is told the newest weights it was ever told, as a further attempt."""
        if node in self._weights:
            letter, note, attempts = self._weights[node]
            self._weights[node] = (letter, note, attempts + 1)
            self._inboxes[node].append(letter)
            self._rows.append(structs.replace(self._row(letter, note, (node,), 1), attempt=attempts + 1))

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
        """A node's inbox, emptied; in the order (slot, turn, source) in which the notes were told."""
        inbox = self._inboxes[node]
        if inbox:
            self._inboxes[node] = []
        return inbox

    def drain_rows(self) -> list[AirRow]:
        """The air book's rows since the last call."""
        rows, self._rows = self._rows, []
        return rows

    def snapshot(self) -> dict[str, Any]:
        """Letters in flight, and the newest weights."""
        return {
            "inboxes": [[encode(letter) for letter in inbox] for inbox in self._inboxes],
            "weights": [[node, *map(encode, told[:2]), told[2]] for node, told in self._weights.items()],
        }

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._inboxes = [[decode(letter, type=Letter) for letter in inbox] for inbox in data["inboxes"]]
        self._weights = {
            node: (decode(letter, type=Letter), decode(note, type=Note), attempts)
            for node, letter, note, attempts in data["weights"]
        }

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

    def _row(self, letter: Letter, note: Note, to: tuple[int, ...], copies: int) -> AirRow:
        link = self._link(letter.source, to) if note.link is None else note.link
        note_bytes = len(note.body)
        bits = 8 * note_bytes if note.payload_bits is None else note.payload_bits
        outcome = Outcome.DELIVERED if copies == len(to) else Outcome.GONE
        return AirRow(
            letter.slot,
            letter.turn,
            letter.source,
            to,
            link,
            note.kind,
            1,
            outcome,
            bits,
            note_bytes,
            copies,
            letter.slot,
        )

    def _link(self, source: int, to: tuple[int, ...]) -> LinkClass:
        if source >= self._agents:
            return LinkClass.DOWNLINK
        return LinkClass.UPLINK if self._agents in to else self._agent_link
