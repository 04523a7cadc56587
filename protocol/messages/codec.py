"""Messages to frames and back. A frame is validated here, once; the code behind relies on it."""

import msgspec

from protocol.messages.frame_limits import SMALL_BYTES, is_overloaded
from protocol.messages.node import (
    PROTOCOL_VERSION,
    Bye,
    Hello,
    Message,
    Refused,
    Reply,
    Restore,
    Save,
    Saved,
    Turn,
    Welcome,
)

MAX_FRAME_BYTES = 64 * 2**20

_to_server: msgspec.msgpack.Decoder[Hello | Reply | Saved | Bye] = msgspec.msgpack.Decoder(Hello | Reply | Saved | Bye)
_to_node: msgspec.msgpack.Decoder[Welcome | Refused | Restore | Turn | Save | Bye] = msgspec.msgpack.Decoder(
    Welcome | Refused | Restore | Turn | Save | Bye
)
_anything = msgspec.msgpack.Decoder()

encode = msgspec.msgpack.Encoder().encode


class BadFrame(ValueError):
    """A frame that is no message for its reader; the text is a short reason, one of few, so that it can be counted."""


def decode_for_server(frame: bytes) -> Message:
    """Hello, Reply, Saved or Bye. BadFrame for anything else."""
    try:
        if len(frame) > SMALL_BYTES:
            if len(frame) > MAX_FRAME_BYTES:
                raise BadFrame("oversized frame")
            if is_overloaded(frame):
                raise BadFrame("overloaded frame")
        return _to_server.decode(frame)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        return _foreign_hello(frame, error)


def decode_for_node(frame: bytes) -> Message:
    """Welcome, Refused, Restore, Turn, Save or Bye. BadFrame for anything else."""
    try:
        return _to_node.decode(frame)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise BadFrame(f"the channel server sent a frame that cannot be read: {error}") from error


def signalling(message: Message) -> tuple[int, int]:
    """How many notes a message carries, and their bytes; the rest of its frame is envelope."""
    if type(message) is Reply:
        return len(message.outbox), sum([note.size_bytes for note in message.outbox])
    if type(message) is Turn:
        return len(message.inbox), sum([note.size_bytes for note in message.inbox])
    return 0, 0


def _foreign_hello(frame: bytes, error: Exception) -> Hello:
    """A Hello of another version may have other fields: only its version is read, for the refusal to name it."""
    try:
        match _anything.decode(frame) if len(frame) <= SMALL_BYTES else None:
            case [1, int(version), *_] if version != PROTOCOL_VERSION:
                return Hello(version, "", "?", {})
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        pass
    raise BadFrame(_reason(frame, error)) from error


def _reason(frame: bytes, error: Exception) -> str:
    if not frame:
        return "empty frame"
    if "truncated" in str(error):
        return "truncated frame"
    return "frame of the wrong shape" if isinstance(error, msgspec.ValidationError) else "garbage frame"
