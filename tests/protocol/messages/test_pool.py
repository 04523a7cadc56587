"""The pool's messages: invalid frames are rejected when they are decoded."""

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

HEARTBEAT = Heartbeat(
    PROTOCOL_VERSION, "w", "agent", "n", "h", 1, 2, {"torch": "none"}, {"l": Assignment("run", "pair-0")}
)
ATTACH = Attach(PROTOCOL_VERSION, "l", "channel", "n", "h", {})


def test_round_trips() -> None:
    assert decode_for_service(encode(HEARTBEAT)) == HEARTBEAT
    for from_service in (Lease("l", "run", 8772), Refusal("why")):
        assert decode_from_service(encode(from_service)) == from_service
    for from_worker in (ATTACH, Exited(-9), Alive()):
        assert decode_for_run_process(encode(from_worker)) == from_worker
    for to_worker in (StartNode("tcp://a:1", "run", "pair-0"), Release(), Alive()):
        assert decode_from_run_process(encode(to_worker)) == to_worker


def _changed(message: Any, index: int, value: Any) -> bytes:
    fields = msgspec.msgpack.decode(encode(message))
    fields[index] = value
    return encode(fields)


@pytest.mark.parametrize(
    ("index", "value"),
    [(2, "w" * 201), (3, "trainer"), (7, 0), (7, 10**6), (8, {"key": "v" * 3000}), (9, {"l": ["run", 7]}), (9, 5)],
)
def test_values_out_of_bounds_are_rejected(index: int, value: Any) -> None:
    with pytest.raises(BadFrame):
        decode_for_service(_changed(HEARTBEAT, index, value))


@pytest.mark.parametrize("frame", [b"", b"\xc1", b"\x91", encode([99]), encode(Lease("l", "run", 1)), b"\x91" * 10**5])
def test_other_frames_are_rejected(frame: bytes) -> None:
    for decode in (decode_for_service, decode_for_run_process):
        with pytest.raises(BadFrame):
            decode(frame)


def test_an_invalid_port_is_rejected() -> None:
    with pytest.raises(BadFrame):
        decode_from_service(encode(["2", "l", "run", 0]))
    with pytest.raises(BadFrame):
        decode_from_service(_changed(Lease("l", "run", 1), 3, 70_000))


def test_another_version_is_recognised_by_its_number_whatever_its_fields_are() -> None:
    for frame in (_changed(HEARTBEAT, 1, 1), encode([1, 1, "other", {}]), encode([1, 99])):
        with pytest.raises(ForeignVersion, match=f"is not supported, only {PROTOCOL_VERSION}: install the same"):
            decode_for_service(frame)
    with pytest.raises(ForeignVersion):
        decode_for_run_process(_changed(ATTACH, 1, 99))
