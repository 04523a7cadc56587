"""Large frames from nodes: bodies and states may be large, nothing else."""

import msgpack
import pytest

from protocol.messages.codec import BadFrame, decode_for_server, encode
from protocol.messages.frame_limits import SMALL_BYTES
from protocol.messages.kinds import Kind
from protocol.messages.node import MAX_NOTES, Note, Reply, Report, Saved

LARGE = bytes(4 * SMALL_BYTES)
NOTE = Note((0,), Kind.CONTROL, b"")


@pytest.mark.parametrize(
    "message",
    [
        Reply(1, 0, b"", [NOTE, Note((1,), Kind.WEIGHTS, LARGE, sequence=3)], Report({"loss": 0.5})),
        Reply(1, 0, b"", [], Report({"loss": 0.5}, [], LARGE)),
        Reply(1, 0, b"", [NOTE] * MAX_NOTES),
        Saved(1, LARGE, True),
    ],
    ids=["a note's body", "a report of weights", "as many notes as a reply may have", "a state"],
)
def test_what_may_be_large_is_read(message: Reply | Saved) -> None:
    assert decode_for_server(encode(message)) == message


@pytest.mark.parametrize(
    "fields",
    [
        [5, 1, 0, b"", [[[0], 7, b""]] * (MAX_NOTES + 1)],
        [5, 1, 0, b"", [[[0] * 10**5, 7, b""]]],
        [5, 1, 0, b"", [[[0], 7, LARGE, [0] * 10**5]]],
        [5, 1, 0, b"", [], [dict.fromkeys(map(str, range(20_000)), 0.0)]],
        [5, 1, 0, LARGE, []],
        [9, 1, b"", [0] * 10**5],
        [1, 3, "run", "pair-0", dict.fromkeys(map(str, range(20_000)), "x")],
        [6, "x" * 10**5],
    ],
    ids=["notes", "destinations", "a field of a note", "a report", "an action", "a flag", "a Hello", "a Bye"],
)
def test_what_must_be_small_is_not_even_decoded(fields: list[object]) -> None:
    with pytest.raises(BadFrame, match="overloaded frame"):
        decode_for_server(msgpack.packb(fields))


@pytest.mark.parametrize(
    "frame", [msgpack.packb([0] * 10**6), bytes(10**6), b"\xc1" * 10**6, msgpack.packb([5] + [0] * 12 + [LARGE])]
)
def test_other_large_frames_are_rejected(frame: bytes) -> None:
    with pytest.raises(BadFrame):
        decode_for_server(frame)
