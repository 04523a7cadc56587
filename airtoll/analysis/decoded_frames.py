"""Recorded frames with their values: measurements, actions and bodies as numbers instead of bytes.

The spaces that turn bytes into numbers are those of the Welcome that the node got; they are read without the nodes'
code, as the frames themselves are.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgpack
import numpy as np

from airtoll.analysis.frames import MESSAGES, NESTED, REPORT, Frame
from protocol.messages.choreography import PHASES
from protocol.messages.kinds import NEIGHBOURS, TRAINER, Kind
from schemes.parts.weights import read_weights

_WELCOME, _TURN, _REPLY = 2, 4, 5
_TURN_FIELDS, _REPLY_FIELDS = MESSAGES[_TURN][1:], MESSAGES[_REPLY][1:]
_MAX_SHOWN = 8  # numbers of a field, names of tensors
_GROUPS = {NEIGHBOURS: "neighbours", TRAINER: "trainer"}
_KINDS = {kind.value: kind.name.lower() for kind in Kind}


class DecodedFrame(NamedTuple):
    """A frame with its text. `slot`: None outside slots; `kinds`: of the notes that it carries."""

    frame: Frame
    slot: int | None
    kinds: tuple[str, ...]
    message: str


class _Seat(NamedTuple):
    """What a node's Welcome says of it: names by index, the view of each turn, the spaces of views and action."""

    names: list[str]
    turn_views: list[str]
    views: Mapping[str, Any]
    action: Any

    @classmethod
    def of(cls, welcome: list[Any]) -> "_Seat":
        fields = dict(zip(MESSAGES[_WELCOME][1:], welcome[1:], strict=False))
        turn_views = [turn[3] for turn in fields["choreography"][0]]
        return cls(fields["names"], turn_views, fields["views"], fields["action"])


def decoded(frames: Iterable[Frame]) -> Iterator[DecodedFrame]:
    """The frames in order. One that cannot be read, and bytes of no known form, stay as `Frame.message` has them."""
    seats: dict[str, _Seat] = {}
    for frame in frames:
        try:
            message = msgpack.unpackb(frame.data, strict_map_key=False)
            if message[0] == _WELCOME:
                seats[frame.peer] = _Seat.of(message)
            yield _decoded(frame, message, seats.get(frame.peer))
        except (TypeError, ValueError, KeyError, IndexError, msgpack.UnpackException):
            yield DecodedFrame(frame, None, (), frame.message)


def _decoded(frame: Frame, message: list[Any], seat: _Seat | None) -> DecodedFrame:
    if message[0] not in (_TURN, _REPLY) or seat is None:
        return DecodedFrame(frame, None, (), frame.message)
    fields = dict(zip(_TURN_FIELDS if message[0] == _TURN else _REPLY_FIELDS, message[1:], strict=False))
    box = "inbox" if message[0] == _TURN else "outbox"
    notes = [dict(zip(NESTED[box][1:], note, strict=False)) for note in fields[box]]
    parts = list(_of_turn(fields, seat) if message[0] == _TURN else _of_reply(fields, seat))
    parts += [_note(note, seat.names) for note in notes]
    name = MESSAGES[message[0]][0]
    text = f"{name} slot {fields['slot']}, turn {fields['turn']}: {'; '.join(parts) or 'nothing'}"
    return DecodedFrame(frame, fields["slot"], tuple(_KINDS.get(note["kind"], "?") for note in notes), text)


def _of_turn(fields: Mapping[str, Any], seat: _Seat) -> Iterator[str]:
    yield PHASES[fields["phase"]]
    if fields["ended"]:
        yield f"ended {list(fields['ended'])}"
    if fields["measurement"]:
        yield f"measures {_records(seat.views[seat.turn_views[fields['spec']]], fields['measurement'])}"


def _of_reply(fields: Mapping[str, Any], seat: _Seat) -> Iterator[str]:
    if fields["action"]:
        yield f"acts {_records(seat.action, fields['action'])}"
    if fields.get("report"):
        report = dict(zip(REPORT[1:], fields["report"], strict=False))
        yield f"reports {', '.join(f'{name} {value:.4g}' for name, value in report['scalars'].items())}"


def _records(space: Any, data: bytes) -> str:
    """The fields of replica 0 with their units, and how many replicas there are more."""
    fields = space[0] if space else []
    dtype = np.dtype([(name, f"<{code}", tuple(shape)) for name, code, shape, *_ in fields])
    records = np.frombuffer(data, dtype)
    shown = ", ".join(f"{f[0]} {_numbers(records[0][f[0]])}{_unit(f)}" for f in fields)
    more = f" (and {len(records) - 1} more replicas)" if len(records) > 1 else ""
    return f"{shown}{more}"


def _unit(field: list[Any]) -> str:
    unit = field[3] if len(field) > 3 else ""
    return f" {unit}" if unit not in ("", "1") else ""


def _numbers(value: Any) -> str:
    flat = np.ravel(value)
    shown = " ".join(f"{number:.4g}" for number in flat[:_MAX_SHOWN].tolist())
    more = f" ... {flat.size} in all" if flat.size > _MAX_SHOWN else ""
    return f"[{shown}{more}]" if np.ndim(value) else shown


def _note(note: Mapping[str, Any], names: list[str]) -> str:
    kind, body = _KINDS.get(note["kind"], str(note["kind"])), note["body"]
    if "to" in note:
        to = ", ".join(_GROUPS.get(index) or names[index] for index in note["to"])
        bits = "" if note["payload_bits"] is None else f", {note['payload_bits']} bits"
        where = f"to {to}{bits}"
    else:
        where = f"from {names[note['source']]}, sent in slot {note['slot']}"
    number = f", number {note['sequence']}" if note.get("sequence") is not None else ""
    return f"{kind} {where}{number}: {_body(kind, body)}"


def _body(kind: str, body: bytes) -> str:
    """Weights as their version and shapes; an acknowledgement is its number alone; others are their scheme's own."""
    if kind == "weights":
        version, tensors = read_weights(body)
        shapes = [f"{name} {'x'.join(map(str, tensor.shape))}" for name, tensor in tensors.items()]
        more = [f"{len(shapes) - _MAX_SHOWN} more"] if len(shapes) > _MAX_SHOWN else []
        return f"policy version {version}, {', '.join([*shapes[:_MAX_SHOWN], *more])}"
    if not body:
        return "no body"
    return f"{len(body)} bytes {body[:16].hex()}{'...' if len(body) > 16 else ''}"
