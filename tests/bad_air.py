"""Between relay and nodes, for tests: loses, delays, repeats and shuffles what nodes are told."""

import random
from collections import defaultdict
from typing import Any

import pytest
from msgspec import structs

from agent_node.core import Node
from protocol.messages.node import ReceivedNote, Turn


class BadAir:
    """Each note is lost with probability `loss`, said twice with probability `twice`, and comes up to `most_late`
    slots later. One for all nodes of a run in this process; `arrived` counts notes by kind."""

    def __init__(self, seed: int, *, loss: float = 0.2, twice: float = 0.1, most_late: int = 4) -> None:
        self._chance = random.Random(seed)
        self._loss, self._twice, self._most_late = loss, twice, most_late
        self._late: defaultdict[int, list[tuple[int, ReceivedNote]]] = defaultdict(list)  # by node: due slot and note
        self.lost = self.overtaken = 0

    def impair(self, monkeypatch: pytest.MonkeyPatch) -> "BadAir":
        """Every node's turns from now on."""
        answer = Node.turn

        def turn(node: Node, asked: Turn) -> Any:
            return answer(node, structs.replace(asked, inbox=self._inbox(id(node), asked)))

        monkeypatch.setattr(Node, "turn", turn)
        return self

    def _inbox(self, node: int, asked: Turn) -> list[ReceivedNote]:
        for received in asked.inbox:
            copies = 1 + (self._chance.random() < self._twice) if self._chance.random() >= self._loss else 0
            self.lost += not copies
            delays = [self._chance.randint(0, self._most_late) for _ in range(copies)]
            self._late[node] += [(asked.slot + delay, received) for delay in delays]
        inbox = [received for due, received in self._late[node] if due <= asked.slot]
        self._late[node] = [(due, received) for due, received in self._late[node] if due > asked.slot]
        self._chance.shuffle(inbox)
        self.overtaken += inbox != sorted(inbox, key=lambda received: (received.slot, received.turn))
        return inbox
