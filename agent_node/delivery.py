"""Acknowledged delivery of histories and weights: each is numbered, told until it is acknowledged, taken once.

The number is the first four bytes of the note's body, so it is paid for like the rest. Numbers grow by receiver and are
never below the slot, so that a node that starts anew goes on where it left. What is not acknowledged for
`resend_after_slots` is told again, with the same number and body. Two things are given up: weights for which there are
newer ones, and a note that lies `WINDOW` numbers behind the newest to its receiver. So a receiver that remembers that
many numbers knows of everything that may still come. All other kinds are told once and may be lost for good.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from msgspec import structs
from msgspec.msgpack import decode, encode

from protocol.messages.kinds import TRAINER, Kind
from protocol.messages.node import NUMBER, Note, ReceivedNote

ACKNOWLEDGED = (Kind.HISTORY, Kind.WEIGHTS)
WINDOW = 1 << 14  # numbers; with at most one note per slot and receiver that many slots or more


class Unacked(NamedTuple):
    """A numbered note without an acknowledgement, and the slot in which it was last told."""

    note: Note
    slot: int


class ReceiveWindow:
    """Which of a source's numbers were taken: bit k of `bits` stands for `highest` - k, and all below count as taken.

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


class AckedDelivery:
    """One node's numbered notes: those it told and has no word of yet, and those it has taken.

    `trainer`: its index, by which it answers what agents tell to TRAINER. `resend_after_slots` 0: nothing is ever
    told again.
    """

    def __init__(self, *, trainer: int, resend_after_slots: int = 0) -> None:
        self._trainer = trainer
        self._resend_after = resend_after_slots
        self._last: dict[int, int] = {}  # by receiver: the last number told
        self.unacknowledged: dict[tuple[int, int], Unacked] = {}  # by receiver and number, in the order first told
        self._taken: dict[int, ReceiveWindow] = {}  # by source: histories
        self._newest: dict[int, int] = {}  # by source: the number of the newest weights

    def send(self, notes: Sequence[Note], slot: int) -> list[Note]:
        """The notes as they leave: those of acknowledged kinds, each to one receiver, numbered."""
        return [self._numbered(note, slot) if note.kind in ACKNOWLEDGED else note for note in notes]

    def resend(self, slot: int) -> list[Note]:
        """What has waited too long for its acknowledgement, as a further attempt. The clock is that of its teller."""
        return list(self._due(slot)) if self._resend_after and self.unacknowledged else []

    def receive(self, received_notes: Sequence[ReceivedNote]) -> tuple[list[ReceivedNote], list[Note]]:
        """The notes for the policy, numbers taken off; the acknowledgements to tell.

        Histories come in any order, each once; weights only if they are newer than all that came before.
        """
        fresh: list[ReceivedNote] = []
        acks: list[Note] = []
        for received in received_notes:
            if received.kind == Kind.ACK:
                self.unacknowledged.pop((received.source, NUMBER.unpack(received.body)[0]), None)
            elif received.kind in ACKNOWLEDGED:
                acks.append(Note((received.source,), Kind.ACK, received.body[: NUMBER.size]))
                if self._takes(received):
                    fresh.append(structs.replace(received, body=received.body[NUMBER.size :]))
            else:
                fresh.append(received)
        return fresh, acks

    def snapshot(self) -> dict[str, Any]:
        """Numbers, and what is not acknowledged yet."""
        waiting = [[*key, encode(told.note), told.slot] for key, told in self.unacknowledged.items()]
        taken = [[source, t.highest, t.bits.to_bytes(WINDOW // 8, "little")] for source, t in self._taken.items()]
        last, newest = ([list(pair) for pair in numbers.items()] for numbers in (self._last, self._newest))
        return {"last": last, "waiting": waiting, "taken": taken, "newest": newest}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._last, self._newest = dict(data["last"]), dict(data["newest"])
        self._taken = {
            source: ReceiveWindow(highest, int.from_bytes(bits, "little")) for source, highest, bits in data["taken"]
        }
        self.unacknowledged = {
            (receiver, number): Unacked(decode(note, type=Note), slot)
            for receiver, number, note, slot in data["waiting"]
        }

    def _numbered(self, note: Note, slot: int) -> Note:
        (to,) = note.to
        receiver = self._trainer if to == TRAINER else to
        number = max(self._last.get(receiver, 0) + 1, slot + 1)
        self._last[receiver] = number
        self._on_timeout(receiver, number, note.kind)
        numbered = structs.replace(note, body=NUMBER.pack(number) + note.body)
        self.unacknowledged[receiver, number] = Unacked(numbered, slot)
        return numbered

    def _on_timeout(self, receiver: int, number: int, kind: Kind) -> None:
        """Forget what need not be told again when a note of this number and kind is."""
        for key, told in list(self.unacknowledged.items()):
            replaced = kind == told.note.kind == Kind.WEIGHTS
            if key[0] == receiver and (replaced or key[1] <= number - WINDOW):
                del self.unacknowledged[key]

    def _due(self, slot: int) -> Iterator[Note]:
        for key, told in self.unacknowledged.items():
            if slot - told.slot >= self._resend_after:
                again = structs.replace(told.note, attempt=told.note.attempt + 1)
                self.unacknowledged[key] = Unacked(again, slot)
                yield again

    def _takes(self, received: ReceivedNote) -> bool:
        """Whether the policy is given the note. A node that starts anew takes everything."""
        number: int = NUMBER.unpack_from(received.body)[0]
        if received.kind == Kind.HISTORY:
            return self._taken.setdefault(received.source, ReceiveWindow()).take(number)
        is_newer = number > self._newest.get(received.source, 0)
        if is_newer:
            self._newest[received.source] = number
        return is_newer
