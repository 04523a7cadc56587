"""The air book: one row per transmission attempt. It is the same in every placement."""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import Any

import msgspec
from msgspec import Struct

from protocol.messages.kinds import Kind, LinkClass

_MAX_RECEIVERS = 1 << 16


class AttemptOutcome(IntEnum):
    """The outcome of an attempt: all copies delivered, or some not, and why."""

    DELIVERED = 0
    LOST = 1  # the signalling model lost a copy
    GONE = 2  # a receiver was lost to the run
    UNREAD = 3  # no attempt: a correction, the receiver was lost before it read a copy that counted as delivered
    REPLACED = 4  # newer weights took its place in the queue; the bits are those that had left by then
    QUEUED = 5  # resent while the attempt before was still on its way: nothing is transmitted
    CUT = 6  # the run ended before it arrived; the bits are those that had left by then


class AirRow(Struct, frozen=True, array_like=True, gc=False):
    """One transmission attempt. Over radio a note to many is one row; over a backhaul it is one per receiver.

    `slot`, `turn`: when the note was sent. `until`: the slot from which it could be read, or in which its outcome was
    known. `attempt` counts from 1; a correction (attempt 0) takes a copy back. `payload_bits`: what the air was charged
    for this attempt, of one replica. `note_bytes`: Note.size_bytes, of all replicas. `copies`: how many receivers it
    was delivered to. Two kinds of rows are attempts for which nothing crossed the source's socket: `repeated`, sent by
    the relay itself, as a resend to a node that came back or as uploaded weights; `copied`, a note's rows over a
    backhaul but the first.
    """

    slot: int
    turn: int
    source: int
    to: tuple[int, ...]
    link: LinkClass
    kind: Kind
    attempt: int
    outcome: AttemptOutcome
    payload_bits: int
    note_bytes: int
    copies: int
    until: int
    repeated: bool = False
    copied: bool = False

    @property
    def crossed_socket(self) -> bool:
        """Whether the source's socket, if it has one, carried the note for this attempt."""
        return self.attempt > 0 and not self.repeated and not self.copied


def encode_rows(rows: Iterable[AirRow]) -> bytes:
    """Rows as a stream of MessagePack arrays: the content of air_book.msgpack."""
    return b"".join(map(msgspec.msgpack.Encoder().encode, rows))


def decode_rows(data: bytes) -> Iterator[AirRow]:
    """The rows of air_book.msgpack. ValueError for a truncated file or one that is no air book."""
    import msgpack  # only readers of a finished run need it; nodes do not load it

    unpacker = msgpack.Unpacker(max_buffer_size=0, use_list=False, max_array_len=_MAX_RECEIVERS)
    unpacker.feed(data)
    number = -1
    for number, row in enumerate(unpacker):
        yield _typed(number, row)
    if unpacker.tell() != len(data):
        raise ValueError(f"the air book is truncated after row {number}")


def _typed(number: int, row: Any) -> AirRow:
    try:
        return msgspec.convert(row, AirRow)
    except msgspec.ValidationError as error:
        raise ValueError(f"row {number} of the air book is damaged: {error}") from error
