"""Acknowledged delivery of histories and weights: each is numbered, kept until acknowledged, taken once.

The number is the first four bytes of the note's body, so it is paid for like the rest. Everything else is told once and
may be lost for good.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Any

from protocol.kinds import Kind
from protocol.messages import Letter, Note

ACKNOWLEDGED = (Kind.HISTORY, Kind.WEIGHTS)
_number = Struct("<I")


class Delivery:
    """One node's numbered notes: those it told and has no word of yet, and those it has taken."""

    def __init__(self) -> None:
        self._told = 0
        self.unacknowledged: dict[int, Note] = {}
        self._taken: dict[int, int] = {}  # by source: the highest number taken

    def send(self, notes: Sequence[Note]) -> list[Note]:
        """The notes as they leave: those of acknowledged kinds numbered."""
        return [self._numbered(note) if note.kind in ACKNOWLEDGED else note for note in notes]

    def receive(self, letters: Sequence[Letter]) -> tuple[list[Letter], list[Note]]:
        """The letters for the policy, numbers taken off and repetitions left out; the acknowledgements to tell."""
        fresh: list[Letter] = []
        acks: list[Note] = []
        for letter in letters:
            if letter.kind == Kind.ACK:
                self.unacknowledged.pop(_number.unpack(letter.body)[0], None)
            elif letter.kind in ACKNOWLEDGED:
                acks.append(Note((letter.source,), Kind.ACK, letter.body[: _number.size]))
                fresh += self._opened(letter)
            else:
                fresh.append(letter)
        return fresh, acks

    def snapshot(self) -> dict[str, Any]:
        """Numbers, and what is not acknowledged yet."""
        waiting = [[number, list(n.to), int(n.kind), n.body] for number, n in self.unacknowledged.items()]
        return {"told": self._told, "waiting": waiting, "taken": [list(pair) for pair in self._taken.items()]}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._told = data["told"]
        self.unacknowledged = {n: Note(tuple(to), Kind(kind), body) for n, to, kind, body in data["waiting"]}
        self._taken = dict(data["taken"])

    def _numbered(self, note: Note) -> Note:
        self._told += 1
        numbered = Note(note.to, note.kind, _number.pack(self._told) + note.body, note.payload_bits, note.link)
        self.unacknowledged[self._told] = numbered
        return numbered

    def _opened(self, letter: Letter) -> list[Letter]:
        """The letter without its number, unless it was taken before. A node that starts anew takes everything."""
        number: int = _number.unpack_from(letter.body)[0]
        if number <= self._taken.get(letter.source, 0):
            return []
        self._taken[letter.source] = number
        return [Letter(letter.source, letter.kind, letter.slot, letter.turn, letter.body[_number.size :])]
