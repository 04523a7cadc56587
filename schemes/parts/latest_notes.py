"""What was said last, however late it comes: the common part of stale rules.

Notes may be lost, late, repeated, or overtake each other. By when it was told, of each source the newest counts; what
was told before it and comes after it is not taken.
"""

from collections.abc import Iterable
from typing import Any

from msgspec.msgpack import decode, encode

from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote
from schemes.contract import NodePolicy


class NewestFilter:
    """Picks what is news: for what is done when it comes, such as a decision, and need not be kept."""

    def __init__(self, kind: Kind) -> None:
        self._kind = kind
        self._told_at: dict[int, tuple[int, int]] = {}  # by source: slot and turn of its newest note

    def take(self, inbox: Iterable[ReceivedNote]) -> list[ReceivedNote]:
        """The newest note of each source that has told one of this kind since the last that was taken."""
        news: dict[int, ReceivedNote] = {}
        for received in inbox:
            told_at = (received.slot, received.turn)
            if received.kind == self._kind and told_at > self._told_at.get(received.source, (-1, -1)):
                self._told_at[received.source], news[received.source] = told_at, received
        return list(news.values())

    def forget(self) -> None:
        """Nobody has said anything."""
        self._told_at.clear()

    def snapshot(self) -> list[Any]:
        """When each source's newest was told."""
        return [[source, *told_at] for source, told_at in self._told_at.items()]

    def restore(self, data: list[Any]) -> None:
        """The inverse of `snapshot`."""
        self._told_at = {source: (slot, turn) for source, slot, turn in data}


class LatestNotes:
    """Keeps each source's newest note: for what is looked at again in later slots, such as a neighbour's queue.

    `oldest_slots`: an older note counts as if nothing had been said, 0 for none but those of the slot; None: any age.
    """

    def __init__(self, kind: Kind, oldest_slots: int | None = None) -> None:
        self._newest = NewestFilter(kind)
        self._oldest = oldest_slots
        self._received: dict[int, ReceivedNote] = {}

    def hear(self, inbox: Iterable[ReceivedNote]) -> None:
        """Take the news."""
        self._received |= {received.source: received for received in self._newest.take(inbox)}

    def at(self, slot: int) -> list[ReceivedNote]:
        """What each source said last, if it is not too old in `slot`: its age is `slot - note.slot`."""
        received_notes = self._received.values()
        return [received for received in received_notes if self._oldest is None or slot - received.slot <= self._oldest]

    def forget(self) -> None:
        """Nobody has said anything."""
        self._newest.forget()
        self._received.clear()

    def snapshot(self) -> list[Any]:
        """The notes held."""
        return [encode(received) for received in self._received.values()]

    def restore(self, data: list[Any]) -> None:
        """The inverse of `snapshot`."""
        self.forget()
        self.hear(decode(received, type=ReceivedNote) for received in data)


class LatestNotesPolicy(NodePolicy):
    """A policy that remembers nothing but what it was told last; when an episode begins, nobody has said anything."""

    def __init__(self, told: LatestNotes) -> None:
        self._told = told

    def on_episode(self, episode: int) -> None:
        self._told.forget()

    def snapshot(self) -> dict[str, Any]:
        return {"told": self._told.snapshot()}

    def restore(self, data: dict[str, Any]) -> None:
        self._told.restore(data["told"])
