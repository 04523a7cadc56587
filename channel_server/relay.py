"""The relay: takes what nodes tell each other, books every transmission attempt, fills inboxes.

Signalling is ideal: no delay, no loss, no budget. A note told in turn k is readable from turn k + 1 on; it waits in
the inbox until its receiver is asked. The signalling model will stand between `post` and the inboxes.
"""

from collections.abc import Callable, Collection, Sequence
from typing import Any

from protocol.air_book import AirRow, Outcome
from protocol.kinds import NEIGHBOURS, TRAINER, LinkClass
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
            self._rows.append(self._row(letter, note, to, len(heard)))

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
        """Letters in flight."""
        return {"inboxes": [[_as_list(letter) for letter in inbox] for inbox in self._inboxes]}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._inboxes = [[Letter(*fields) for fields in inbox] for inbox in data["inboxes"]]

    def fault(self, source: int, notes: Sequence[Note]) -> str:
        """Why these notes cannot be relayed, or ""."""
        for note in notes:
            for node in note.to:
                if node == TRAINER and self._nodes == self._agents:
                    return f"a {note.kind.name.lower()} note to the trainer of a run that has none"
                if node not in (NEIGHBOURS, TRAINER) and not (0 <= node < self._nodes and node != source):
                    return f"a {note.kind.name.lower()} note to node {node}, which is not another node"
        return ""

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
            letter.slot, letter.turn, letter.source, to, link, note.kind, 1, outcome, bits, note_bytes, copies
        )

    def _link(self, source: int, to: tuple[int, ...]) -> LinkClass:
        if source >= self._agents:
            return LinkClass.DOWNLINK
        return LinkClass.UPLINK if self._agents in to else self._agent_link


def _as_list(letter: Letter) -> list[Any]:
    return [letter.source, letter.kind, letter.slot, letter.turn, letter.body]
