"""How much may be in a frame from a node.

msgspec checks lengths only after it has made all objects, and 64 MiB of small values become gigabytes of them. So large
frames are looked through first: apart from the bodies of notes, reported weights and the
parts of states, all their fields must be small.
"""

import msgspec

from protocol.messages.node import MAX_NOTES, Report

SMALL_BYTES = 1 << 16  # of a frame or a field: whatever is in it, its objects need little memory

_REPORT_FIELDS = len(Report.__struct_fields__)

_raw_items = msgspec.msgpack.Decoder(list[msgspec.Raw])


def is_overloaded(frame: bytes) -> bool:
    """Whether a frame must not be decoded. msgspec.DecodeError for one that is not MessagePack."""
    if len(frame) <= SMALL_BYTES:
        return False
    tag, *fields = _fields(frame)
    match tag, fields:
        case (b"\x05", [slot, turn, action, outbox, *report]):
            return _are_large(slot, turn, action) or any(map(_is_overloaded, report)) or _has_overloaded_notes(outbox)
        case (b"\x09", [slot, _data, *more]):
            return _are_large(slot, *more)
        case _:
            return True


def _is_overloaded(report: bytes) -> bool:
    """Whether anything but the weights in a report is large."""
    if len(report) <= SMALL_BYTES:
        return False
    if _length(report) != _REPORT_FIELDS:
        return True
    *others, _weights = map(bytes, _raw_items.decode(report))
    return _are_large(*others)


def _has_overloaded_notes(outbox: bytes) -> bool:
    if _length(outbox) > MAX_NOTES:
        return True
    large = [note for note in map(bytes, _raw_items.decode(outbox)) if len(note) > SMALL_BYTES]
    return any(_are_large(to, kind, *rest) for to, kind, _body, *rest in map(_fields, large))


def _are_large(*fields: bytes) -> bool:
    return any(len(field) > SMALL_BYTES for field in fields)


def _fields(array: bytes) -> list[bytes]:
    """The fields of a message or a note, encoded. DecodeError unless there are from 2 to 15, as all have."""
    if not 2 <= _length(array) <= 15:
        raise msgspec.DecodeError("no message has so many fields")
    return [bytes(item) for item in _raw_items.decode(array)]


def _length(array: bytes) -> int:
    """The length of an encoded array, by its head. DecodeError for anything else."""
    match array[0]:
        case first if 0x90 <= first <= 0x9F:
            return first - 0x90
        case 0xDC:
            return int.from_bytes(array[1:3], "big")
        case 0xDD:
            return int.from_bytes(array[1:5], "big")
        case _:
            raise msgspec.DecodeError("not an array")
