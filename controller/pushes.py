"""The trainer's `send`: when weights go to the agents, each its own or one note to all."""

from collections.abc import Sequence
from typing import Any

from protocol.messages.kinds import Kind
from protocol.messages.node import Note
from schemes.contract import Learner, Send, TurnContext
from schemes.parts.weights import write_weights


class Pushes:
    """Counts policy versions. `has_unsent`: set by the trainer after updates."""

    def __init__(self, agents: Sequence[int], send: Send) -> None:
        self._send = send
        self._receivers = [tuple(agents)] if send.to == "all" else [(agent,) for agent in agents]
        self._pushed_at = -send.every_slots  # the slot in which weights were last sent
        self.has_unsent = False
        self.policy_version = 0

    def notes(self, turn: TurnContext, learner: Learner) -> tuple[Note, ...]:
        """Weights, if there are new ones and it is time. As evaluation begins it is."""
        due = turn.slot >= self._pushed_at + self._send.every_slots or turn.phase == "eval"
        if not (due and self.has_unsent):
            return ()
        self._pushed_at, self.has_unsent = turn.slot, False
        self.policy_version += 1
        return tuple(Note(to, Kind.WEIGHTS, self._body(learner, to[0])) for to in self._receivers)

    def snapshot(self) -> dict[str, Any]:
        """The version and when it was sent."""
        return {"version": self.policy_version, "pushed_at": self._pushed_at, "has_unsent": self.has_unsent}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self.policy_version, self._pushed_at = data["version"], data["pushed_at"]
        self.has_unsent = data["has_unsent"]

    def _body(self, learner: Learner, node: int) -> bytes:
        return write_weights(learner.weights(node), self.policy_version, self._send.precision)
