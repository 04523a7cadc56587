"""Learn turns of the trainer: each is opened in one slot, and its reply is awaited in a later one."""

from typing import Any, NamedTuple

from channel_server.gate import Gate
from protocol.messages.node import Reply


class PendingLearnTurn(NamedTuple):
    """A learn turn whose reply is awaited at the end of `slot`."""

    slot: int
    gate: Gate


class LearnTurns:
    """`pending`: the learn turns that are open, in the order in which they fall due."""

    def __init__(self, delay_slots: int) -> None:
        self._delay_slots = delay_slots
        self.pending: list[PendingLearnTurn] = []

    def add(self, gate: Gate) -> None:
        """A learn turn has been opened."""
        self.pending.append(PendingLearnTurn(gate.slot + self._delay_slots, gate))

    def due_by(self, slot: int) -> Gate | None:
        """The gate of the first pending turn if it is due by this slot."""
        return self.pending[0].gate if self.pending and self.pending[0].slot <= slot else None

    def gate_of(self, reply: Reply) -> Gate | None:
        """The gate of the pending turn that a reply belongs to."""
        for _, gate in self.pending:
            if (gate.slot, gate.turn) == (reply.slot, reply.turn):
                return gate
        return None

    @property
    def unanswered(self) -> list[tuple[int, int, int]]:
        """Replies that have not come: node, slot and turn."""
        return [(node, gate.slot, gate.turn) for _, gate in self.pending for node in gate.missing]

    def lose(self, node: int) -> None:
        """A node is gone: no pending turn waits for it."""
        for _, gate in self.pending:
            gate.lose(node)

    def snapshot(self) -> dict[str, Any]:
        """The pending turns."""
        return {"pending": [[slot, gate.snapshot()] for slot, gate in self.pending]}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self.pending = [PendingLearnTurn(slot, Gate.restored(gate)) for slot, gate in data["pending"]]
