"""Frames: round trips, the plain msgpack package as a witness, and every way a frame can be no message."""

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from protocol.messages.codec import BadFrame, decode_for_node, decode_for_server, encode, signalling
from protocol.messages.kinds import Kind, LinkClass
from protocol.messages.node import PROTOCOL_VERSION, Bye, Hello, Note, ReceivedNote, Refused, Reply, Turn

notes = st.builds(
    Note,
    to=st.lists(st.integers(-2, 300), max_size=4).map(tuple),
    kind=st.sampled_from(Kind),
    body=st.binary(max_size=300),
    payload_bits=st.none() | st.integers(0, 10_000),
    link=st.none() | st.sampled_from(LinkClass),
    sequence=st.none() | st.integers(0, 2**32 - 1),
)
received_notes = st.builds(
    ReceivedNote,
    source=st.integers(0, 300),
    kind=st.sampled_from(Kind),
    slot=st.integers(0, 2**40),
    turn=st.integers(0, 999),
    body=st.binary(max_size=300),
    sequence=st.none() | st.integers(0, 2**32 - 1),
)
replies = st.builds(
    Reply,
    slot=st.integers(0, 2**40),
    turn=st.integers(0, 999),
    action=st.binary(max_size=8),
    outbox=st.lists(notes, max_size=4),
)
turns = st.builds(
    Turn,
    slot=st.integers(0, 2**40),
    turn=st.integers(0, 999),
    spec=st.integers(0, 255),
    phase=st.integers(0, 2),
    ended=st.binary(max_size=8),
    measurement=st.binary(max_size=300),
    inbox=st.lists(received_notes, max_size=4),
)


@given(replies)
def test_replies_survive_the_wire(reply: Reply) -> None:
    assert decode_for_server(encode(reply)) == reply


@given(turns)
def test_turns_survive_the_wire(turn: Turn) -> None:
    assert decode_for_node(encode(turn)) == turn


@given(turns)
def test_the_plain_msgpack_package_reads_the_same(turn: Turn) -> None:
    tag, slot, number, *_, measurement, inbox = msgpack.unpackb(encode(turn))
    assert (tag, slot, number, measurement) == (4, turn.slot, turn.turn, turn.measurement)
    assert [note[-2:] for note in inbox] == [[note.body, note.sequence] for note in turn.inbox]


@given(replies, turns)
def test_signalling_is_bodies_and_sequence_numbers(reply: Reply, turn: Turn) -> None:
    for message, carried in ((reply, reply.outbox), (turn, turn.inbox)):
        numbered = sum(note.sequence is not None for note in carried)
        assert signalling(message) == (len(carried), sum(len(note.body) for note in carried) + 4 * numbered)


@given(notes)
def test_a_note_of_one_replica_is_charged_for_its_bytes_unless_it_gives_its_bits(note: Note) -> None:
    number = 0 if note.sequence is None else 32
    assert note.charged_bits(1) == number + (8 * len(note.body) if note.payload_bits is None else note.payload_bits)


@pytest.mark.parametrize(
    ("kind", "payload_bits", "charged"),
    [(Kind.CSI, None, 14), (Kind.HISTORY, None, 14), (Kind.WEIGHTS, None, 40), (Kind.CSI, 7, 7), (Kind.WEIGHTS, 7, 7)],
)
def test_of_stacked_replicas_one_is_charged(kind: Kind, payload_bits: int | None, charged: int) -> None:
    """Five bytes for three replicas: 13.3 bits each, unless they are weights, the same for all."""
    note = Note((1,), kind, bytes(5), payload_bits)
    assert note.charged_bits(3) == charged
    assert structs.replace(note, sequence=4).charged_bits(3) == charged + 32


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "empty frame"),
        (b"\xc1", "garbage frame"),
        (b"hello", "frame of the wrong shape"),
        (encode(Reply(1, 0, b"ab", []))[:-1], "truncated frame"),
        (encode(Reply(1, 0, b"ab", [])) + b"\0", "garbage frame"),
        (b"\xdd\xff\xff\xff\xff", "truncated frame"),
        (msgspec.msgpack.encode([5, 1, 0, b"", [[[0], 99, b""]]]), "frame of the wrong shape"),
        (msgspec.msgpack.encode([5, 1, 0, b"", [[[0], 4, b"", None, None, 1, 2**32]]]), "frame of the wrong shape"),
        (msgspec.msgpack.encode([5, 1, 0, b"", [[[0], 4, b"", None, None, 1, -1]]]), "frame of the wrong shape"),
        (encode(Refused("no")), "frame of the wrong shape"),
        (b"\x91" * 5000, "frame of the wrong shape"),
    ],
)
def test_a_frame_that_is_no_message_has_a_reason(frame: bytes, reason: str) -> None:
    with pytest.raises(BadFrame, match=reason):
        decode_for_server(frame)


def test_an_oversized_frame_is_not_even_decoded() -> None:
    with pytest.raises(BadFrame, match="oversized"):
        decode_for_server(bytes(64 * 2**20 + 1))


def test_a_hello_of_another_version_keeps_its_version() -> None:
    foreign = msgspec.msgpack.encode([1, PROTOCOL_VERSION + 1, {"a": "layout of tomorrow"}])
    assert decode_for_server(foreign) == Hello(PROTOCOL_VERSION + 1, "", "?", {})


@given(st.binary(max_size=60))
def test_no_frame_raises_anything_else(frame: bytes) -> None:
    for decode in (decode_for_server, decode_for_node):
        try:
            assert isinstance(decode(frame), Hello | Reply | Bye | Turn | Refused)
        except BadFrame as bad:
            assert str(bad)  # noqa: PT017
