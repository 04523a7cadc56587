"""The newest note of each source: the common part of the schemes' rules for stale information.

Notes may be lost, late, repeated or reordered. Of each source the note that was sent last counts, by slot and turn; an
older one that arrives after it is ignored.
"""

from collections.abc import Iterable
from typing import Any

from msgspec.msgpack import decode, encode

from protocol.messages.episodes import Mask
from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote
from schemes.contract import NodePolicy


class NewestFilter:
    """Passes a note only if it is newer than all before it of the same source: for notes that are used on arrival."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._sent_at: dict[int, tuple[int, int]] = {}  # by source: slot and turn of its newest note

    def take(self, inbox: Iterable[ReceivedNote]) -> list[ReceivedNote]:
        """The newest note of each source, of those sources that have a newer one than at the last call."""
        newest: dict[int, ReceivedNote] = {}
        for note in inbox:
            sent_at = (note.slot, note.turn)
            if note.kind == self._kind and sent_at > self._sent_at.get(note.source, (-1, -1)):
                self._sent_at[note.source], newest[note.source] = sent_at, note
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


class LatestNotes:
    """Keeps each source's newest note: for values that are read again in later slots, such as a neighbour's queue.

    `max_age_slots`: a note that is older counts as none; 0 accepts notes of the current slot only, None any age.
    """

    def __init__(self, kind: Kind, max_age_slots: int | None = None) -> None:
        self._filter = NewestFilter(kind)
        self._max_age_slots = max_age_slots
        self._notes: dict[int, ReceivedNote] = {}

    def update(self, inbox: Iterable[ReceivedNote]) -> None:
        """Replace the notes of which the inbox has newer ones."""
        self._notes |= {note.source: note for note in self._filter.take(inbox)}

    def at(self, slot: int) -> list[ReceivedNote]:
        """Each source's newest note, unless it is too old in `slot`: the age is `slot - note.slot`."""
        notes, max_age = self._notes.values(), self._max_age_slots
        return [note for note in notes if max_age is None or slot - note.slot <= max_age]

    def clear(self) -> None:
        """Forget all notes."""
        self._filter.clear()
        self._notes.clear()

    def snapshot(self) -> list[Any]:
        """The notes kept, encoded."""
        return [encode(note) for note in self._notes.values()]

    def restore(self, data: list[Any]) -> None:
        """The inverse of `snapshot`."""
        self.clear()
        self.update(decode(note, type=ReceivedNote) for note in data)


class LatestNotesPolicy(NodePolicy):
    """A policy whose only state is the newest notes it has received.

    A note holds all replicas, so it is forgotten when new episodes begin in all of them; a replica whose episode begins
    alone starts with what is known of its old one.
    """

    def __init__(self, latest: LatestNotes) -> None:
        self._latest = latest

    def restart(self, replicas: Mask) -> None:
        if replicas.all():
            self._latest.clear()

    def snapshot(self) -> dict[str, Any]:
        return {"notes": self._latest.snapshot()}

    def restore(self, data: dict[str, Any]) -> None:
        self._latest.restore(data["notes"])
