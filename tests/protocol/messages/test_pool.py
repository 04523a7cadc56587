"""The pool's messages: what is not one is refused before anything comes of it."""

from typing import Any

import msgspec
import pytest

from protocol.messages.codec import BadFrame
from protocol.messages.node import PROTOCOL_VERSION
from protocol.messages.pool import (
    Alive,
    Assignment,
    Attach,
    Exited,
    ForeignVersion,
    Heartbeat,
    Lease,
    Refusal,
    Release,
    StartNode,
    decode_for_run_process,
    decode_for_service,
    decode_from_run_process,
    decode_from_service,
    encode,
)

PRESENT = Heartbeat(
    PROTOCOL_VERSION, "w", "agent", "n", "h", 1, 2, {"torch": "none"}, {"l": Assignment("run", "pair-0")}
)
COME = Attach(PROTOCOL_VERSION, "l", "channel", "n", "h", {})


def test_round_trips() -> None:
    assert decode_for_service(encode(PRESENT)) == PRESENT
    for told in (Lease("l", "run", 8772), Refusal("why")):
        assert decode_from_service(encode(told)) == told
    for said in (COME, Exited(-9), Alive()):
        assert decode_for_run_process(encode(said)) == said
    for wish in (StartNode("tcp://a:1", "run", "pair-0"), Release(), Alive()):
        assert decode_from_run_process(encode(wish)) == wish


def _changed(told: Any, place: int, value: Any) -> bytes:
    fields = msgspec.msgpack.decode(encode(told))
    fields[place] = value
    return encode(fields)


@pytest.mark.parametrize(
    ("place", "value"),
    [(2, "w" * 201), (3, "trainer"), (7, 0), (7, 10**6), (8, {"key": "v" * 3000}), (9, {"l": ["run", 7]}), (9, 5)],
)
def test_what_is_out_of_bounds_is_bad(place: int, value: Any) -> None:
    with pytest.raises(BadFrame):
        decode_for_service(_changed(PRESENT, place, value))


@pytest.mark.parametrize("frame", [b"", b"\xc1", b"\x91", encode([99]), encode(Lease("l", "run", 1)), b"\x91" * 10**5])
def test_what_is_no_message_is_bad(frame: bytes) -> None:
    for decode in (decode_for_service, decode_for_run_process):
        with pytest.raises(BadFrame):
            decode(frame)


def test_a_port_that_is_none_is_bad() -> None:
    with pytest.raises(BadFrame):
        decode_from_service(encode(["2", "l", "run", 0]))
    with pytest.raises(BadFrame):
        decode_from_service(_changed(Lease("l", "run", 1), 3, 70_000))


def test_another_version_is_told_by_its_number_whatever_its_fields_are() -> None:
    for frame in (_changed(PRESENT, 1, 1), encode([1, 1, "other", {}]), encode([1, 99])):
        with pytest.raises(ForeignVersion, match=f"is not spoken here, only {PROTOCOL_VERSION}: run the worker"):
            decode_for_service(frame)
    with pytest.raises(ForeignVersion):
        decode_for_run_process(_changed(COME, 1, 99))
