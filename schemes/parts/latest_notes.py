"""The newest note of each source: the common part of the schemes' rules for stale information.

Notes may be lost, late, repeated or reordered. Of each source the note that was sent last counts, by slot and turn; an
older one that arrives after it is ignored.
"""

from collections.abc import Iterable
from typing import Any, Generic

from msgspec.msgpack import decode, encode

from protocol.messages.episodes import Mask
from protocol.messages.node import ReceivedNote
from schemes.contract import NodePolicy, TurnContext
from schemes.parts.note_reader import Content, NoteReader


class NewestFilter:
    """Passes a note only if it is newer than all before it of the same source: for notes that are used on arrival."""

    def __init__(self) -> None:
        self._sent_at: dict[int, tuple[int, int]] = {}  # by source: slot and turn of its newest note

    def take(self, notes: Iterable[tuple[ReceivedNote, Content]]) -> list[tuple[ReceivedNote, Content]]:
        """The newest note of each source, of those sources that have a newer one than at the last call."""
        newest: dict[int, tuple[ReceivedNote, Content]] = {}
        for note, content in notes:
            sent_at = (note.slot, note.turn)
            if sent_at > self._sent_at.get(note.source, (-1, -1)):
                self._sent_at[note.source], newest[note.source] = sent_at, (note, content)
        return list(newest.values())

    def clear(self) -> None:
        """Forget all sources."""
        self._sent_at.clear()

    def snapshot(self) -> list[Any]:
        """Source, slot and turn of each newest note."""
        return [[source, *sent_at] for source, sent_at in self._sent_at.items()]

    def restore(self, data: list[Any]) -> None:
        """The inverse of `snapshot`."""
        self._sent_at = {source: (slot, turn) for source, slot, turn in data}


class LatestNotes(Generic[Content]):
    """Keeps each source's newest note: for values that are read again in later slots, such as a neighbour's queue.

    `max_age_slots`: a note that is older counts as none; 0 accepts notes of the current slot only, None any age.
    """

    def __init__(self, reader: NoteReader[Content], max_age_slots: int | None = None) -> None:
        self._reader = reader
        self._filter = NewestFilter()
        self._max_age_slots = max_age_slots
        self._notes: dict[int, tuple[ReceivedNote, Content]] = {}

    def update(self, turn: TurnContext) -> None:
        """Replace the notes of which the inbox has newer ones."""
        self._keep(turn.read(self._reader))

    def at(self, slot: int) -> list[tuple[int, Content]]:
        """Each source with the content of its newest note, unless that is too old in `slot`: its age is
        `slot - note.slot`."""
        notes, max_age = self._notes.values(), self._max_age_slots
        return [(note.source, content) for note, content in notes if max_age is None or slot - note.slot <= max_age]

    def clear(self) -> None:
        """Forget all notes."""
        self._filter.clear()
        self._notes.clear()

    def snapshot(self) -> list[Any]:
        """The notes kept, encoded."""
        return [encode(note) for note, _ in self._notes.values()]

    def restore(self, data: list[Any]) -> None:
        """The inverse of `snapshot`."""
        self.clear()
        notes = [decode(note, type=ReceivedNote) for note in data]
        self._keep((note, self._reader.read(note)) for note in notes)

    def _keep(self, notes: Iterable[tuple[ReceivedNote, Content]]) -> None:
        self._notes |= {note.source: (note, content) for note, content in self._filter.take(notes)}


class LatestNotesPolicy(NodePolicy, Generic[Content]):
    """A policy whose only state is the newest notes it has received.

    A note holds all replicas, so it is forgotten when new episodes begin in all of them; a replica whose episode begins
    alone starts with what is known of its old one.
    """

    def __init__(self, latest: LatestNotes[Content]) -> None:
        self._latest = latest

    def restart(self, replicas: Mask) -> None:
        if replicas.all():
            self._latest.clear()

    def snapshot(self) -> dict[str, Any]:
        return {"notes": self._latest.snapshot()}

    def restore(self, data: dict[str, Any]) -> None:
        self._latest.restore(data["notes"])
