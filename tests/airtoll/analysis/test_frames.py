"""The independent decoder of frames, checked against the structs."""

from pathlib import Path

import msgpack
import pytest

from airtoll.analysis.frames import FRAMES_FILE, MESSAGES, NESTED, REPORT, describe, frames_of
from protocol.messages.codec import encode
from protocol.messages.kinds import Kind
from protocol.messages.node import Bye, Hello, Note, ReceivedNote, Refused, Reply, Report, Turn, Unread, Welcome


@pytest.mark.parametrize("message", [Hello, Welcome, Refused, Turn, Reply, Bye], ids=lambda m: m.__name__)
def test_names_and_fields_are_those_of_the_structs(message: type) -> None:
    config = message.__struct_config__  # type: ignore[attr-defined]
    assert MESSAGES[config.tag] == (message.__name__, *message.__struct_fields__)  # type: ignore[attr-defined]


def test_nested_fields_are_those_of_the_structs() -> None:
    assert NESTED["inbox"] == ("ReceivedNote", *ReceivedNote.__struct_fields__)
    assert NESTED["outbox"] == ("Note", *Note.__struct_fields__)
    assert NESTED["unread"] == ("Unread", *Unread.__struct_fields__)
    assert ("Report", *Report.__struct_fields__) == REPORT


@pytest.mark.parametrize(
    ("message", "text"),
    [
        (Hello(1, "r", "pair-0", {"cpu": "x"}), "Hello(protocol=1, run_id='r', name='pair-0', fingerprint={cpu: 'x'})"),
        (Refused("no"), "Refused(reason='no')"),
        (
            Turn(3, 1, 0, 2, b"\x02", b"\x01\x02", [ReceivedNote(4, Kind.CSI, 2, 0, b"\xff", 7)]),
            "Turn(slot=3, turn=1, spec=0, phase=2, ended=<1 bytes 02>, measurement=<2 bytes 0102>, "
            "inbox=[ReceivedNote(source=4, kind=1, slot=2, turn=0, body=<1 bytes ff>, sequence=7)])",
        ),
        (
            Reply(3, 1, b"", [Note((-1,), Kind.CSI, bytes(20), 36)]),
            "Reply(slot=3, turn=1, action=<0 bytes >, outbox=[Note(to=[-1], kind=1, "
            "body=<20 bytes 00000000000000000000000000000000...>, payload_bits=36, link=None, attempt=1, "
            "sequence=None)], report=None)",
        ),
        (
            Reply(3, 1, b"", [], Report({"loss": 0.5}, [Unread(2, Kind.HISTORY, 1, "no rows")])),
            "Reply(slot=3, turn=1, action=<0 bytes >, outbox=[], report=Report(scalars={loss: 0.5}, "
            "unread=[Unread(source=2, kind=4, number=1, reason='no rows')], weights=<0 bytes >))",
        ),
        (Bye("done"), "Bye(reason='done', error='')"),
    ],
    ids=["hello", "refused", "turn", "reply", "report", "bye"],
)
def test_a_frame_is_described(message: Hello | Refused | Turn | Reply | Bye, text: str) -> None:
    assert describe(encode(message)) == text


@pytest.mark.parametrize("frame", [b"", b"\xc1", b"\x93\x01", msgpack.packb({}), msgpack.packb([99]), b"\x2a", "text"])
def test_a_frame_that_is_no_message_is_described_as_such(frame: object) -> None:
    assert describe(frame).startswith(("not MessagePack", "not a message of the protocol"))


def test_surplus_fields_are_shown() -> None:
    assert describe(msgpack.packb([3, "no", 7])) == "Refused(reason='no', 7)"


def test_a_file_is_described_line_by_line(tmp_path: Path) -> None:
    rows = [["up", "pair-0", encode(Bye("a"))], ["down", "trainer", encode(Bye("b"))]]
    (tmp_path / FRAMES_FILE).write_bytes(b"".join(map(msgpack.packb, rows)))
    lines = ["up   pair-0: Bye(reason='a', error='')", "down trainer: Bye(reason='b', error='')"]
    assert list(map(str, frames_of(tmp_path))) == lines


def test_a_truncated_file_is_reported(tmp_path: Path) -> None:
    (tmp_path / FRAMES_FILE).write_bytes(msgpack.packb(["up", "pair-0", b"frame"])[:-1])
    with pytest.raises(ValueError, match=r"frames\.msgpack is truncated: its last entry, from byte 0"):
        list(frames_of(tmp_path))


def test_a_run_without_frames_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"run with record\.frames_slots of at least 1"):
        list(frames_of(tmp_path))
