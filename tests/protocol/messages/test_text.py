"""Names and texts from the network: nothing that ends a line or moves a terminal's cursor passes."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.messages.codec import BadFrame, decode_for_node, decode_for_server, encode
from protocol.messages.node import PROTOCOL_VERSION, Bye, Refused
from protocol.messages.pool import Refusal, decode_for_run_process, decode_for_service, decode_from_service
from protocol.messages.text import MAX_NAME_CHARS, MAX_TEXT_CHARS, is_name, printable

HOSTILE = ["a\u2028b", "a\x85b", "a\x1cb", "a\nb", "a\n", "\x1b[2J", "a\x00", "\u202eb", "x" * (MAX_TEXT_CHARS + 1)]
HEARTBEAT: list[Any] = [1, PROTOCOL_VERSION, "w", "agent", "n", "h", 1, 1, {"python": "3"}, {"l": ["run", "pair-0"]}]
ATTACH: list[Any] = [3, PROTOCOL_VERSION, "l", "agent", "n", "h", {"python": "3"}]


def _names_in(message: list[Any], name: str) -> list[list[Any]]:
    """The message with each of its names replaced in turn, the role too."""
    texts = [index for index, part in enumerate(message) if isinstance(part, str)]
    maps = [index for index, part in enumerate(message) if isinstance(part, dict)]
    changed = [(index, name) for index in texts] + [
        (index, {key: value}) for index in maps for key, value in ((name, "x"), ("x", name), ("x", [name]))
    ]
    return [[*message[:index], part, *message[index + 1 :]] for index, part in changed]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_message_carries_a_hostile_name(name: str) -> None:
    for frame in map(encode, _names_in([1, PROTOCOL_VERSION, "run", "pair-0", {}], name)):
        with pytest.raises(BadFrame, match="frame of the wrong shape"):
            decode_for_server(frame)
    with pytest.raises(BadFrame, match="frame of the wrong shape"):
        decode_for_server(encode([7, 0, {name: 1.0}]))
    for decode, message in ((decode_for_service, HEARTBEAT), (decode_for_run_process, ATTACH)):
        decode(encode(message))
        for changed in _names_in(message, name):
            with pytest.raises(BadFrame):
                decode(encode(changed))


@pytest.mark.parametrize("name", ["pair-0", "Süd 5", "日本", "li2020/sla", "a,b", '"quoted"', ""])
def test_names_of_every_script_pass(name: str) -> None:
    assert is_name(name)
    decode_for_server(encode([1, PROTOCOL_VERSION, "run", name, {}]))
    decode_for_service(encode([*HEARTBEAT[:4], name, *HEARTBEAT[5:]]))


@given(st.text(max_size=20))
def test_a_name_and_a_printable_text_are_one_printable_line(text: str) -> None:
    assert printable(text).isprintable()
    assert not is_name("x" * (MAX_NAME_CHARS + 1))
    assert not is_name(text) or (text.isprintable() and len(text.splitlines()) <= 1)


def test_reasons_are_printable_whoever_sent_them() -> None:
    hostile = "end\x1b[2J\u2028of\nfile" + "x" * MAX_TEXT_CHARS
    shown = r"end\x1b[2J of file" + "x" * (MAX_TEXT_CHARS - 21) + "..."
    assert decode_for_server(encode([6, hostile, hostile])) == Bye(shown, shown)
    for decode, message in ((decode_for_node, Refused(shown)), (decode_from_service, Refusal(shown))):
        tag = message.__struct_config__.tag
        decoded = decode(msgspec.msgpack.encode([tag, hostile]))
        assert decoded == message
