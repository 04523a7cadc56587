"""The gates that are open: that of the turn which the run waits for, and those of pending learn turns."""

from channel_server.gate import Gate
from channel_server.run_state import RunState
from protocol.messages.node import Reply


class OpenGates:
    """Finds the gate of a reply, and closes gates for lost nodes and at deadlines.

    `awaited`: the gate that the run waits for; None while it waits for something else than replies.
    """

    def __init__(self, state: RunState) -> None:
        self._timeline = state.timeline
        self._attendance = state.attendance
        self._pace = state.pace
        self._learning = state.learning
        self.awaited: Gate | None = None

    def gate_of(self, reply: Reply) -> Gate | None:
        """The gate that a reply is meant for; the awaited one if it fits none."""
        return (self._learning.pending and self._learning.gate_of(reply)) or self.awaited

    def lose(self, node: int) -> bool:
        """A node is gone: no open gate waits for it. Returns whether that closes the awaited gate."""
        # The awaited gate may be a learn turn's, which the next line closes: ask it before.
        was_open = self.awaited is not None and not self.awaited.closed
        self._learning.lose(node)
        if self.awaited is None or not was_open:
            return False
        self.awaited.lose(node)
        return self.awaited.closed

    @property
    def deadline(self) -> float | None:
        """The part of the slot after which the awaited turn is over; None if it has no deadline."""
        has_none = not self._pace.on or self.awaited is None or self.awaited.step == "learn"
        return None if has_none else self._pace.deadline

    def expire(self) -> None:
        """The deadline of the awaited turn has passed: its gate closes."""
        if self.awaited is not None:
            self._pace.expire(self.awaited)

    @property
    def late_replies(self) -> list[tuple[int, int, int]]:
        """Replies of a paced run that have not come and that the run does not wait for: node, slot and turn."""
        if not self._pace.on:
            return []
        slot, turn, absence = self._timeline.slot, self._timeline.turn, self._attendance.absence
        return [late for late in self._pace.unanswered + self._learning.unanswered if not absence(late[0], slot, turn)]
