"""Frames decoded without our structs, against the structs."""

from pathlib import Path

import msgpack
import pytest

from airtoll.analysis.frames import FILE, MESSAGES, NESTED, describe, frames_of
from protocol.messages.codec import encode
from protocol.messages.kinds import Kind
from protocol.messages.node import Bye, Hello, Note, ReceivedNote, Refused, Reply, Report, Turn, Welcome


@pytest.mark.parametrize("message", [Hello, Welcome, Refused, Turn, Reply, Report, Bye], ids=lambda m: m.__name__)
def test_names_and_fields_are_the_structs(message: type) -> None:
    config = message.__struct_config__  # type: ignore[attr-defined]
    assert MESSAGES[config.tag] == (message.__name__, *message.__struct_fields__)  # type: ignore[attr-defined]


def test_nested_fields_are_the_structs() -> None:
    assert NESTED["inbox"] == ("ReceivedNote", *ReceivedNote.__struct_fields__)
    assert NESTED["outbox"] == ("Note", *Note.__struct_fields__)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (Hello(1, "r", "pair-0", {"cpu": "x"}), "Hello(protocol=1, run_id='r', name='pair-0', fingerprint={cpu: 'x'})"),
        (Refused("no"), "Refused(reason='no')"),
        (
            Turn(3, 1, 0, 2, 0, b"\x01\x02", [ReceivedNote(4, Kind.CSI, 2, 0, b"\xff", 7)]),
            "Turn(slot=3, turn=1, spec=0, phase=2, episode=0, measurement=<2 bytes 0102>, "
            "inbox=[ReceivedNote(source=4, kind=1, slot=2, turn=0, body=<1 bytes ff>, sequence=7)])",
        ),
        (
            Reply(3, 1, b"", [Note((-1,), Kind.CSI, bytes(20), 36)]),
            "Reply(slot=3, turn=1, action=<0 bytes >, outbox=[Note(to=[-1], kind=1, "
            "body=<20 bytes 00000000000000000000000000000000...>, payload_bits=36, link=None, attempt=1, "
            "sequence=None)])",
        ),
        (Report(9, {"loss": 0.5}), "Report(slot=9, scalars={loss: 0.5})"),
        (Bye("done"), "Bye(reason='done', error='')"),
    ],
    ids=["hello", "refused", "turn", "reply", "report", "bye"],
)
def test_a_frame_is_told(message: Hello | Refused | Turn | Reply | Report | Bye, told: str) -> None:
    assert describe(encode(message)) == told


@pytest.mark.parametrize("frame", [b"", b"\xc1", b"\x93\x01", msgpack.packb({}), msgpack.packb([99]), b"\x2a", "text"])
def test_what_is_no_message_is_told_as_such(frame: object) -> None:
    assert describe(frame).startswith(("not MessagePack", "no message of ours"))


def test_fields_beyond_the_known_are_shown() -> None:
    assert describe(msgpack.packb([3, "no", 7])) == "Refused(reason='no', 7)"


def test_a_file_is_told_line_by_line(tmp_path: Path) -> None:
    rows = [["up", "pair-0", encode(Bye("a"))], ["down", "trainer", encode(Bye("b"))]]
    (tmp_path / FILE).write_bytes(b"".join(map(msgpack.packb, rows)))
    told = ["up   pair-0: Bye(reason='a', error='')", "down trainer: Bye(reason='b', error='')"]
    assert list(map(str, frames_of(tmp_path))) == told


def test_a_cut_file_is_told(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(msgpack.packb(["up", "pair-0", b"frame"])[:-1])
    with pytest.raises(ValueError, match=r"frames\.msgpack is cut: its last entry, from byte 0, is not whole"):
        list(frames_of(tmp_path))


def test_a_run_without_frames_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"run with record\.frames_slots of at least 1"):
        list(frames_of(tmp_path))
