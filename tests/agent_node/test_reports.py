"""What a node reports with its reply fits into one, whatever others send it and whatever its policy returns."""

import pytest
from msgspec import structs

from agent_node.core import Node
from channel_server.worlds.d2d_underlay import WORLD, D2DUnderlay
from protocol.messages.codec import decode_for_server, encode
from protocol.messages.kinds import Kind
from protocol.messages.node import MAX_UNREAD, ReceivedNote, Turn, Unread
from schemes.contract import NodePolicy, TurnContext, TurnOutput
from schemes.li2020 import random as scheme
from schemes.parts.note_reader import NoteReader
from tests.schemes.direct import welcome_for


def _broken(note: ReceivedNote) -> int:
    return note.body[5]


class _Reading(NodePolicy):
    """Reads control notes from everybody, and reports so many scalars."""

    def __init__(self, scalars: int) -> None:
        self._scalars = {f"loss {number}": 0.5 for number in range(scalars)}

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        assert list(turn.read(NoteReader(Kind.CONTROL, range(1000), _broken))) == []
        return TurnOutput(scalars=self._scalars)


def _node(scalars: int) -> Node:
    world = WORLD.build(D2DUnderlay(pairs=2), seed=1, replicas=1)
    return Node(structs.replace(welcome_for(world, scheme.SCHEME, 0)), lambda _: _Reading(scalars))


def test_a_flood_of_unreadable_notes_is_counted_within_the_limits_of_a_reply() -> None:
    inbox = [ReceivedNote(source, Kind.CONTROL, 0, 0, b"") for source in [*range(300), 1001] for _ in range(3)]
    reply = _node(1).turn(Turn(1, 0, 0, 2, b"", b"", inbox))
    assert reply.report is not None
    assert len(reply.report.unread) == MAX_UNREAD
    assert reply.report.unread[0] == Unread(0, Kind.CONTROL, 3, "IndexError: index out of range")
    assert decode_for_server(encode(reply)) == reply


@pytest.mark.parametrize("name", ["", "loss\n", "loss \u2192 q", "x" * 81])
def test_a_name_of_a_scalar_that_no_reply_may_have_is_the_policy_s_fault(name: str) -> None:
    node = _node(0)
    node.policy._scalars = {name: 1.0}  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="with printable names of 1 to 80 characters"):
        node.turn(Turn(1, 0, 0, 2, b"", b"", []))


def test_too_many_scalars_are_the_policy_s_fault() -> None:
    with pytest.raises(ValueError, match="the policy reports 257 scalars: return at most 256"):
        _node(257).turn(Turn(1, 0, 0, 2, b"", b"", []))
