"""Impaired delivery between relay and nodes: loses, delays, repeats and reorders the notes of every inbox."""

import random
from collections import defaultdict
from typing import Any

import pytest
from msgspec import structs

from agent_node.core import Node
from protocol.messages.node import ReceivedNote, Turn


class BadAir:
    """Loses each note with probability `loss`, repeats it with probability `repeat`, delays each copy by up to
    `max_delay_slots`. One object for all nodes of a run in this process.

    `lost`: notes lost; `reordered`: inboxes in another order than their notes were sent.
    """

    def __init__(self, seed: int, *, loss: float = 0.2, repeat: float = 0.1, max_delay_slots: int = 4) -> None:
        self._rng = random.Random(seed)
        self._loss, self._repeat, self._max_delay_slots = loss, repeat, max_delay_slots
        self._late: defaultdict[int, list[tuple[int, ReceivedNote]]] = defaultdict(list)  # by node: due slot and note
        self.lost = self.reordered = 0

    def impair(self, monkeypatch: pytest.MonkeyPatch) -> "BadAir":
        """Apply to every node's turns from now on."""
        handle = Node.turn

        def impaired(node: Node, turn: Turn) -> Any:
            return handle(node, structs.replace(turn, inbox=self._inbox(id(node), turn)))

        monkeypatch.setattr(Node, "turn", impaired)
        return self

    def _inbox(self, node: int, turn: Turn) -> list[ReceivedNote]:
        for note in turn.inbox:
            copies = 1 + (self._rng.random() < self._repeat) if self._rng.random() >= self._loss else 0
            self.lost += not copies
            delays = [self._rng.randint(0, self._max_delay_slots) for _ in range(copies)]
            self._late[node] += [(turn.slot + delay, note) for delay in delays]
        inbox = [note for due, note in self._late[node] if due <= turn.slot]
        self._late[node] = [(due, note) for due, note in self._late[node] if due > turn.slot]
        self._rng.shuffle(inbox)
        self.reordered += inbox != sorted(inbox, key=lambda note: (note.slot, note.turn))
        return inbox
