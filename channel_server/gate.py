"""The gate of one turn: it closes once, when every asked node has replied, is lost, or was passed over."""

from collections.abc import Sequence
from typing import Any

from msgspec.msgpack import decode, encode

from protocol.messages.choreography import Step
from protocol.messages.node import ReceivedNote, Reply


class Gate:
    """The nodes asked in this turn and their replies, which are read in node order, whatever order they came in.

    `inboxes`: by node, the notes that its Turn carried. `missed`: nodes that were passed over, because they have not
    replied to an earlier turn, or not in time to this one. `unanswered`: nodes that the gate waits for.
    """

    def __init__(self, slot: int, turn: int, step: Step, asked: Sequence[int]) -> None:
        self.slot = slot
        self.turn = turn
        self.step = step
        self.asked = sorted(asked)
        self.missed: list[int] = []
        self.inboxes: dict[int, list[ReceivedNote]] = {}
        self._replies: dict[int, Reply | None] = {}
        self.unanswered = set(self.asked)

    def snapshot(self) -> dict[str, Any]:
        """The gate and the replies that have come."""
        replies = {str(node): None if reply is None else encode(reply) for node, reply in self._replies.items()}
        inboxes = {str(node): encode(received_notes) for node, received_notes in self.inboxes.items()}
        head = {"slot": self.slot, "turn": self.turn, "step": self.step, "asked": self.asked}
        return head | {"replies": replies, "inboxes": inboxes}

    @classmethod
    def restored(cls, data: dict[str, Any]) -> "Gate":
        """The inverse of `snapshot`."""
        gate = cls(data["slot"], data["turn"], data["step"], data["asked"])
        gate.inboxes = {int(node): decode(raw, type=list[ReceivedNote]) for node, raw in data["inboxes"].items()}
        for node, reply in data["replies"].items():
            gate._replies[int(node)] = None if reply is None else decode(reply, type=Reply)
        gate.unanswered.difference_update(gate._replies)
        return gate

    @property
    def closed(self) -> bool:
        return not self.unanswered

    @property
    def missing(self) -> list[int]:
        """The nodes that were asked and have neither replied nor been lost."""
        return sorted(self.unanswered)

    def accept(self, node: int, reply: Reply) -> str:
        """Take a reply; returns why it is rejected, or ""."""
        if reply.turn != self.turn or reply.slot != self.slot:
            early = (reply.slot, reply.turn) > (self.slot, self.turn)
            return "out-of-order reply" if early else "late or duplicate reply"
        if node not in self.unanswered:
            return "late or duplicate reply" if node in self._replies else "unrequested reply"
        self.unanswered.remove(node)
        self._replies[node] = reply
        return ""

    def lose(self, node: int) -> None:
        """Stop waiting for a node; a reply that has come already stays."""
        if node in self.unanswered:
            self.unanswered.remove(node)
            self._replies[node] = None

    def pass_over(self, nodes: Sequence[int]) -> None:
        """Continue without nodes that have not replied; they are not lost."""
        self.missed += nodes
        self.asked = [node for node in self.asked if node not in nodes]
        self.unanswered.difference_update(nodes)

    def replies(self) -> list[tuple[int, Reply | None]]:
        """The replies by node index; None from nodes that were lost before they replied."""
        replies = self._replies
        return [(node, replies[node]) for node in self.asked]
