"""Recorded frames as text, decoded with the plain msgpack package: a check that shares no code with the nodes.

The field names below are written down a second time on purpose; they also document the fields' order for nodes written
in other languages.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgpack

from airtoll.analysis.streams import read_arrays

FRAMES_FILE = "frames.msgpack"

MESSAGES: dict[int, tuple[str, ...]] = {
    1: ("Hello", "protocol", "run_id", "name", "fingerprint"),
    2: (
        *("Welcome", "run_id", "index", "names", "agents", "scheme", "params", "seed", "replicas"),
        *("choreography", "views", "action", "static_info", "everyone", "resend_after_slots", "phases", "start"),
    ),
    3: ("Refused", "reason"),
    4: ("Turn", "slot", "turn", "spec", "phase", "ended", "measurement", "inbox"),
    5: ("Reply", "slot", "turn", "action", "outbox", "report"),
    6: ("Bye", "reason", "error"),
    8: ("Save", "slot"),
    9: ("Saved", "slot", "data", "more"),
    10: ("Restore", "data", "more"),
}
NESTED: dict[str, tuple[str, ...]] = {
    "inbox": ("ReceivedNote", "source", "kind", "slot", "turn", "body", "sequence"),
    "outbox": ("Note", "to", "kind", "body", "payload_bits", "link", "attempt", "sequence"),
    "unread": ("Unread", "source", "kind", "number", "reason"),
}
REPORT = ("Report", "scalars", "unread", "weights")
_MAX_HEX_BYTES = 16


class Frame(NamedTuple):
    """A recorded frame, `way` up or down: its bytes, and its text."""

    way: str
    peer: str
    data: Any
    message: str

    def __str__(self) -> str:
        return f"{self.way:4} {self.peer}: {self.message}"


def frames_of(folder: Path) -> Iterator[Frame]:
    """The recorded frames, in order. ValueError when none were recorded, or for a damaged file."""
    if not (folder / FRAMES_FILE).exists():
        raise ValueError(
            f"{folder} has no {FRAMES_FILE}: no frames were recorded; run with record.frames_slots of at least 1"
        )
    for way, peer, frame in read_arrays(folder / FRAMES_FILE, 3):
        yield Frame(way, peer, frame, describe(frame))


def describe(frame: Any) -> str:
    """A frame as its message's name and fields."""
    try:
        message = msgpack.unpackb(frame, strict_map_key=False)
    except (TypeError, ValueError, msgpack.UnpackException) as error:
        return f"not MessagePack ({error}): {_shown(frame)}"
    if not (isinstance(message, list) and message and message[0] in MESSAGES):
        return f"not a message of the protocol: {_shown(message)}"
    return _named(MESSAGES[message[0]], message[1:])


def _named(names: tuple[str, ...], values: list[Any]) -> str:
    pairs = zip(names[1:], values, strict=False)
    surplus = [_shown(value) for value in values[len(names) - 1 :]]
    return f"{names[0]}({', '.join([*(f'{name}={_field(name, value)}' for name, value in pairs), *surplus])})"


def _field(name: str, value: Any) -> str:
    if name == "report" and isinstance(value, list):
        return _named(REPORT, value)
    if name in NESTED and isinstance(value, list):
        return f"[{', '.join(_named(NESTED[name], v) if isinstance(v, list) else _shown(v) for v in value)}]"
    return _shown(value)


def _shown(value: Any) -> str:
    """A value; byte strings as hex, truncated when long."""
    match value:
        case bytes():
            more = "..." if len(value) > _MAX_HEX_BYTES else ""
            return f"<{len(value)} bytes {value[:_MAX_HEX_BYTES].hex()}{more}>"
        case list():
            return f"[{', '.join(map(_shown, value))}]"
        case dict():
            return "{" + ", ".join(f"{key}: {_shown(item)}" for key, item in value.items()) + "}"
        case _:
            return repr(value)
