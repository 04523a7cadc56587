"""Reading notes: what a policy takes from notes of a kind. A note that cannot be read is dropped, and reported.

A note comes from another machine, which may be at fault or lie. Nothing behind a reader checks it again.
"""

from collections.abc import Callable, Container
from typing import Generic, NamedTuple, TypeVar

from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote

Content = TypeVar("Content")


class UnreadNote(NamedTuple):
    """A note that its receiver drops, and why."""

    note: ReceivedNote
    reason: str


class NoteReader(Generic[Content]):
    """Reads the notes of a `kind` that come from one of the `sources`.

    `decode` returns the content of a note, checked in full: length, types, bounds. It raises ValueError with the reason
    for a note that it cannot read.
    """

    def __init__(self, kind: Kind, sources: Container[int], decode: Callable[[ReceivedNote], Content]) -> None:
        self.kind = kind
        self._sources = sources
        self._decode = decode

    def read(self, note: ReceivedNote) -> Content:
        """The content of a note of this kind. ValueError if it cannot be read."""
        if note.source not in self._sources:
            raise ValueError("this node takes none from it")
        try:
            return self._decode(note)
        except ValueError:
            raise
        except Exception as error:  # whatever a foreign body leads a decoder to, it must not end the run
            raise ValueError(f"{type(error).__name__}: {error}") from error
