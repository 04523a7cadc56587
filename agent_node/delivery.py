"""Acknowledged delivery: a history or weights note is sent until it is acknowledged, and passed to the policy once.

Each such note has a sequence number, which the air is charged for like the body. Numbers are counted per receiver and
are never below the slot, so that a node that restarts continues above the numbers that it used before. A note without
an acknowledgement for `resend_after_slots` is resent, with the same number and body. Weights may have many receivers:
their number is new to all of them, each acknowledges for itself, and one note resends them to those that have not. The
sender gives up two things, for each receiver: weights when it sends newer ones, and a note that lies `WINDOW` numbers
behind the newest. A receiver that remembers that many numbers therefore knows every note that may still arrive. Notes
of other kinds are sent once and may be lost for good.
"""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from msgspec import structs
from msgspec.msgpack import decode, encode

from protocol.messages.kinds import TRAINER, Kind
from protocol.messages.node import Note, ReceivedNote
from schemes.parts.note_reader import UnreadNote

ACKNOWLEDGED = (Kind.HISTORY, Kind.WEIGHTS)
MAX_NUMBERS_PER_SLOT = 8  # on average, as no node sends that many acknowledged notes to one receiver
WINDOW = 1 << 14  # numbers; with at most one note per slot and receiver that many slots or more


class Unacked(NamedTuple):
    """A note that a receiver has not acknowledged, as it was last sent, and the slot of that."""

    note: Note
    slot: int


class Received(NamedTuple):
    """An inbox, sorted: the notes for the policy, the acknowledgements to send, and notes that no policy gets."""

    notes: list[ReceivedNote]
    acks: list[Note]
    unread: list[UnreadNote]


class ReceiveWindow:
    """Which of a source's numbers have come: bit k of `bits` stands for `highest` - k; all below count as received.

    The sliding window of RFC 4303, sec. 3.4.3.
    """

    def __init__(self, highest: int = 0, bits: int = 0) -> None:
        self.highest, self.bits = highest, bits

    def take(self, number: int) -> bool:
        """Whether the number is new; from now on it is not."""
        ahead = number - self.highest
        if ahead > 0:
            self.highest, self.bits = number, (self.bits << min(ahead, WINDOW) | 1) & (1 << WINDOW) - 1
            return True
        if -ahead >= WINDOW or self.bits >> -ahead & 1:
            return False
        self.bits |= 1 << -ahead
        return True


def _max_number(slot: int) -> int:
    """The largest number that a note of this slot can have."""
    return WINDOW + MAX_NUMBERS_PER_SLOT * (slot + 1)


class AckedDelivery:
    """One node's numbered notes: those it sent that are not acknowledged yet, and those it has received.

    `trainer`: the index of the trainer, which acknowledges what agents send to TRAINER. `resend_after_slots` 0: nothing
    is ever resent.
    """

    def __init__(self, *, trainer: int, resend_after_slots: int = 0) -> None:
        self._trainer = trainer
        self._resend_after = resend_after_slots
        self._last: dict[int, int] = {}  # by receiver: the last number sent
        self.unacknowledged: dict[tuple[int, int], Unacked] = {}  # by receiver and number, in the order first sent
        self._histories: dict[int, ReceiveWindow] = {}  # by source
        self._newest: dict[int, int] = {}  # by source: the number of the newest weights

    def send(self, notes: Sequence[Note], slot: int) -> list[Note]:
        """The notes as they leave: those of acknowledged kinds with a sequence number. ValueError for one of those that
        cannot be acknowledged."""
        return [self._numbered(note, slot) if note.kind in ACKNOWLEDGED else note for note in notes]

    def resend(self, slot: int) -> list[Note]:
        """The notes whose acknowledgement is overdue, as further attempts. Time is counted in the sender's slots."""
        if not (self._resend_after and self.unacknowledged):
            return []
        overdue: dict[tuple[tuple[int, ...], int], list[int]] = {}  # receivers of each note, which these two identify
        for (receiver, number), unacked in self.unacknowledged.items():
            if slot - unacked.slot >= self._resend_after:
                overdue.setdefault((unacked.note.to, number), []).append(receiver)
        return [self._again(receivers, number, slot) for (_, number), receivers in overdue.items()]

    def receive(self, notes: Sequence[ReceivedNote]) -> Received:
        """Sort an inbox.

        Histories pass in any order, each once; weights only if they are newer than all before. A note of these kinds
        that carries no number passes as it is and is not acknowledged.
        """
        unread: list[UnreadNote] = []
        fresh: list[ReceivedNote] = []
        acks: list[Note] = []
        for note in notes:
            if note.sequence is None:
                if note.kind != Kind.ACK:
                    fresh.append(note)
            elif note.kind == Kind.ACK:
                self.unacknowledged.pop((note.source, note.sequence), None)
            elif note.kind in ACKNOWLEDGED:
                acks.append(Note((note.source,), Kind.ACK, b"", sequence=note.sequence))
                if reason := self._number_fault(note, note.sequence):
                    unread.append(UnreadNote(note, reason))
                elif self._is_new(note, note.sequence):
                    fresh.append(note)
            else:
                fresh.append(note)
        return Received(fresh, acks, unread)

    def snapshot(self) -> dict[str, Any]:
        """All numbers, and the notes that are not acknowledged yet."""
        notes = {id(unacked.note): unacked.note for unacked in self.unacknowledged.values()}  # shared by receivers
        positions = {identity: position for position, identity in enumerate(notes)}
        waiting = [[*key, positions[id(unacked.note)], unacked.slot] for key, unacked in self.unacknowledged.items()]
        histories = [
            [source, w.highest, w.bits.to_bytes(WINDOW // 8, "little")] for source, w in self._histories.items()
        ]
        last, newest = ([list(pair) for pair in numbers.items()] for numbers in (self._last, self._newest))
        encoded = [encode(note) for note in notes.values()]
        return {"last": last, "notes": encoded, "waiting": waiting, "histories": histories, "newest": newest}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._last, self._newest = dict(data["last"]), dict(data["newest"])
        self._histories = {
            source: ReceiveWindow(highest, int.from_bytes(bits, "little"))
            for source, highest, bits in data["histories"]
        }
        notes = [decode(raw, type=Note) for raw in data["notes"]]
        self.unacknowledged = {
            (receiver, number): Unacked(notes[position], slot) for receiver, number, position, slot in data["waiting"]
        }

    def _numbered(self, note: Note, slot: int) -> Note:
        """The note with a number that is above all before it to any of its receivers."""
        receivers = self._receivers(note)
        number = max(slot, *(self._last.get(receiver, 0) for receiver in receivers)) + 1
        if number > _max_number(slot):
            limit = f"more than {MAX_NUMBERS_PER_SLOT} acknowledged notes per slot to one receiver, or to groups that"
            raise ValueError(f"by slot {slot} notes have {number} numbers; receivers drop {limit} share receivers")
        self._last.update(dict.fromkeys(receivers, number))
        self._give_up(frozenset(receivers), number, note.kind)
        numbered = structs.replace(note, sequence=number)
        self.unacknowledged.update(
            dict.fromkeys(((receiver, number) for receiver in receivers), Unacked(numbered, slot))
        )
        return numbered

    def _receivers(self, note: Note) -> tuple[int, ...]:
        """Who acknowledges a note, by node index. ValueError if the sender cannot know them, or if there are several
        for a history."""
        if note.to == (TRAINER,):
            return (self._trainer,)
        kind = note.kind.name.lower()
        if not note.to or min(note.to) < 0:
            raise ValueError(f"a {kind} note is acknowledged by each receiver: name their indices, not {note.to}")
        if note.kind == Kind.HISTORY and len(note.to) > 1:
            raise ValueError(f"a history has one receiver, not {len(note.to)}: send each a note of its own")
        return note.to

    def _give_up(self, receivers: Collection[int], number: int, kind: Kind) -> None:
        """Forget what need not be resent to these receivers once a note of this number and kind leaves."""
        for key, unacked in list(self.unacknowledged.items()):
            replaced = kind == unacked.note.kind == Kind.WEIGHTS
            if key[0] in receivers and (replaced or key[1] <= number - WINDOW):
                del self.unacknowledged[key]

    def _again(self, receivers: list[int], number: int, slot: int) -> Note:
        """A further attempt of a note, to those of its receivers that have not acknowledged it."""
        note = self.unacknowledged[receivers[0], number].note
        to = note.to if len(receivers) == len(note.to) else tuple(receivers)
        again = structs.replace(note, to=to, attempt=note.attempt + 1)
        for receiver in receivers:
            self.unacknowledged[receiver, number] = Unacked(again, slot)
        return again

    def _number_fault(self, note: ReceivedNote, number: int) -> str:
        """Why no sender that counts as this module does can have given a note this number, or "".

        A number that is far ahead would make all later notes of its source old.
        """
        if number > _max_number(note.slot):
            return f"its number {number} is too high for slot {note.slot}"
        window = self._histories.get(note.source)
        if note.kind == Kind.HISTORY and window is not None and number <= window.highest - WINDOW:
            return f"its number {number} is too far behind {window.highest}"
        return ""

    def _is_new(self, note: ReceivedNote, number: int) -> bool:
        """Whether the policy gets the note. A node that starts anew takes every number."""
        if note.kind == Kind.HISTORY:
            return self._histories.setdefault(note.source, ReceiveWindow()).take(number)
        is_newer = number > self._newest.get(note.source, 0)
        if is_newer:
            self._newest[note.source] = number
        return is_newer
