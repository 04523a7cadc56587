"""Acknowledged delivery of histories and weights: each is numbered, kept until acknowledged, taken once.

The number is the first four bytes of the note's body, so it is paid for like the rest. Numbers grow by receiver and are
never below the slot, so that a node that starts anew goes on where it left. Everything else is told once and may be
lost for good.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Any

from protocol.kinds import TRAINER, Kind
from protocol.messages import Letter, Note

ACKNOWLEDGED = (Kind.HISTORY, Kind.WEIGHTS)
_number = Struct("<I")


class Delivery:
    """One node's numbered notes: those it told and has no word of yet, and those it has taken."""

    def __init__(self) -> None:
        self._told: dict[int, int] = {}  # by receiver: the last number
        self.unacknowledged: dict[tuple[int, int], Note] = {}  # by receiver and number
        self._taken: dict[int, int] = {}  # by source: the highest number taken

    def send(self, notes: Sequence[Note], slot: int) -> list[Note]:
        """The notes as they leave: those of acknowledged kinds, each to one receiver, numbered."""
        return [self._numbered(note, slot) if note.kind in ACKNOWLEDGED else note for note in notes]

    def receive(self, letters: Sequence[Letter]) -> tuple[list[Letter], list[Note]]:
        """The letters for the policy, numbers taken off and repetitions left out; the acknowledgements to tell."""
        fresh: list[Letter] = []
        acks: list[Note] = []
        for letter in letters:
            if letter.kind == Kind.ACK:
                self._acknowledged(letter)
            elif letter.kind in ACKNOWLEDGED:
                acks.append(Note((letter.source,), Kind.ACK, letter.body[: _number.size]))
                fresh += self._opened(letter)
            else:
                fresh.append(letter)
        return fresh, acks

    def snapshot(self) -> dict[str, Any]:
        """Numbers, and what is not acknowledged yet."""
        waiting = [[*key, int(note.kind), list(note.to), note.body] for key, note in self.unacknowledged.items()]
        told, taken = ([list(pair) for pair in numbers.items()] for numbers in (self._told, self._taken))
        return {"told": told, "waiting": waiting, "taken": taken}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._told, self._taken = dict(data["told"]), dict(data["taken"])
        self.unacknowledged = {
            (receiver, number): Note(tuple(to), Kind(kind), body)
            for receiver, number, kind, to, body in data["waiting"]
        }

    def _numbered(self, note: Note, slot: int) -> Note:
        (receiver,) = note.to
        number = max(self._told.get(receiver, 0) + 1, slot + 1)
        self._told[receiver] = number
        if note.kind == Kind.WEIGHTS:  # newer ones take the place of those that were not acknowledged
            self.unacknowledged = {key: n for key, n in self.unacknowledged.items() if key[0] != receiver}
        numbered = Note(note.to, note.kind, _number.pack(number) + note.body, note.payload_bits, note.link)
        self.unacknowledged[receiver, number] = numbered
        return numbered

    def _acknowledged(self, letter: Letter) -> None:
        """A note was taken. Agents tell the trainer as TRAINER; it answers by its index."""
        number: int = _number.unpack(letter.body)[0]
        self.unacknowledged.pop((letter.source, number), None)
        self.unacknowledged.pop((TRAINER, number), None)

    def _opened(self, letter: Letter) -> list[Letter]:
        """The letter without its number, unless it was taken before. A node that starts anew takes everything."""
        number: int = _number.unpack_from(letter.body)[0]
        if number <= self._taken.get(letter.source, 0):
            return []
        self._taken[letter.source] = number
        return [Letter(letter.source, letter.kind, letter.slot, letter.turn, letter.body[_number.size :])]
