"""The air book: one row per transmission attempt, and the toll summed from it. The same in every placement."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from protocol.messages.kinds import Kind, LinkClass

_MAX_RECEIVERS = 1 << 16


class Outcome(IntEnum):
    """What became of an attempt: all copies delivered, or some not, and why."""

    DELIVERED = 0
    LOST = 1  # the signalling model lost it
    GONE = 2  # a receiver was not there
    UNREAD = 3  # no attempt: a correction, the receiver was gone before it read a copy that counted as delivered
    REPLACED = 4  # newer weights took its place in the queue; the bits are those that had left by then
    QUEUED = 5  # told again while the attempt before was still on its way: it is not sent twice
    CUT = 6  # the run ended before it arrived; the bits are those that had left by then


class AirRow(Struct, frozen=True, array_like=True, gc=False):
    """One transmission attempt. A broadcast is one row; `copies` is the number of receivers it was delivered to.

    `slot`, `turn`: when it was told; `until`: the slot in which it could be read, or its fate was settled. `attempt`
    counts from 1; a correction (attempt 0) takes a copy back. `repeated`: told by the relay itself, to a node that
    came back or by hand; nothing crossed its source's wire.
    """

    slot: int
    turn: int
    source: int
    to: tuple[int, ...]
    link: LinkClass
    kind: Kind
    attempt: int
    outcome: Outcome
    payload_bits: int
    note_bytes: int
    copies: int
    until: int
    repeated: bool = False


class Toll(Struct):
    """What was told: distinct notes, what the air was charged, bytes as encoded once, copies as delivered."""

    notes: int = 0
    payload_bits: int = 0
    note_bytes: int = 0
    copies: int = 0
    copy_bytes: int = 0

    def add(self, row: AirRow) -> None:
        """Book one row."""
        self.notes += row.attempt == 1
        self.payload_bits += row.payload_bits
        self.note_bytes += row.note_bytes if row.attempt else 0
        self.copies += row.copies
        self.copy_bytes += row.copies * row.note_bytes


class DeliveryStats(Struct):
    """What became of notes under a signalling model: attempts to tell them, attempts of which a copy was lost, and how
    old those were that arrived, in slots between telling and reading."""

    attempts: int = 0
    lost: int = 0
    arrived: int = 0
    age_slots: int = 0
    largest_age_slots: int = 0

    def add(self, row: AirRow) -> None:
        """Book one row. What the relay repeats by itself has no age of its own."""
        self.attempts += row.attempt > 0
        self.lost += row.outcome == Outcome.LOST
        if row.copies > 0 and not row.repeated:
            age = row.until - row.slot
            self.arrived += 1
            self.age_slots += age
            self.largest_age_slots = max(self.largest_age_slots, age)

    @property
    def mean_age_slots(self) -> float | None:
        """None where nothing arrived."""
        return self.age_slots / self.arrived if self.arrived else None


_Account = TypeVar("_Account", Toll, DeliveryStats)


def encode_rows(rows: Iterable[AirRow]) -> bytes:
    """Rows as a stream of MessagePack arrays: the content of air_book.msgpack."""
    return b"".join(map(msgspec.msgpack.Encoder().encode, rows))


def decode_rows(data: bytes) -> Iterator[AirRow]:
    """The rows of air_book.msgpack. ValueError for a file that is cut or not an air book."""
    import msgpack  # only readers of a finished run need it; nodes do not load it

    unpacker = msgpack.Unpacker(max_buffer_size=0, use_list=False, max_array_len=_MAX_RECEIVERS)
    unpacker.feed(data)
    number = -1
    for number, row in enumerate(unpacker):
        yield _typed(number, row)
    if unpacker.tell() != len(data):
        raise ValueError(f"the air book is cut after row {number}")


def _typed(number: int, row: Any) -> AirRow:
    try:
        return msgspec.convert(row, AirRow)
    except msgspec.ValidationError as error:
        raise ValueError(f"row {number} of the air book is damaged: {error}") from error


def toll_by_kind(rows: Iterable[AirRow]) -> dict[str, Toll]:
    """The toll per kind, kinds in the order of `Kind`, only those that occurred."""
    return _by_kind(rows, Toll)


def delivery_stats_by_kind(rows: Iterable[AirRow]) -> dict[str, DeliveryStats]:
    """What became of the notes of each kind, likewise."""
    return _by_kind(rows, DeliveryStats)


def _by_kind(rows: Iterable[AirRow], account: type[_Account]) -> dict[str, _Account]:
    accounts: dict[Kind, _Account] = defaultdict(account)
    for row in rows:
        accounts[row.kind].add(row)
    return {kind.name.lower(): accounts[kind] for kind in sorted(accounts)}
