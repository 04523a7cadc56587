"""Text from the network: names are checked, texts for people are made printable. Both are bounded.

A name is printed, logged, and written into files of lines. Letters and digits of every script and the printable
characters of ASCII can do no harm there; line breaks (also U+0085 and U+2028), terminal escapes and marks that
reverse the direction of writing could.
"""

import re
from typing import Annotated

from msgspec import Meta, Struct
from msgspec.structs import force_setattr

MAX_NAME_CHARS = 200
MAX_TEXT_CHARS = 2000
NAME_PATTERN = r"\A[ -~\w]*\Z"

Name = Annotated[str, Meta(max_length=MAX_NAME_CHARS, pattern=NAME_PATTERN)]
Fingerprint = Annotated[
    dict[Name, Annotated[str, Meta(max_length=MAX_TEXT_CHARS, pattern=NAME_PATTERN)]], Meta(max_length=40)
]


def is_name(text: str) -> bool:
    """Whether a text can be sent as a name."""
    return len(text) <= MAX_NAME_CHARS and re.match(NAME_PATTERN, text) is not None


def printable(text: str) -> str:
    """A text in one line of printable characters: white space becomes spaces, other characters their escapes."""
    shown = "".join(map(_printable_char, text[: MAX_TEXT_CHARS + 1]))
    return shown if len(shown) <= MAX_TEXT_CHARS else f"{shown[: MAX_TEXT_CHARS - 3]}..."


def make_printable(message: Struct, *fields: str) -> None:
    """Make these texts of a message printable, also of a frozen one; for its `__post_init__`."""
    for name in fields:
        text = getattr(message, name)
        if len(text) > MAX_TEXT_CHARS or not text.isprintable():
            force_setattr(message, name, printable(text))


def _printable_char(char: str) -> str:
    if char.isprintable():
        return char
    return " " if char.isspace() else char.encode("unicode_escape").decode()
