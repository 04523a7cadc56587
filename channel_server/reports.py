"""What nodes report with their replies: scalars and learnt weights go to the recorder, notes that could not be read to
the events."""

from math import isfinite

from channel_server.run_state import RunState
from protocol.messages.node import Reply, Unread
from protocol.messages.telemetry import Weights
from protocol.messages.text import printable


class Reports:
    """Takes the reports of nodes, given by index. They are taken when a turn closes, by node index, so that their order
    does not depend on whose reply comes first."""

    def __init__(self, state: RunState) -> None:
        self._recorder = state.recorder
        self._events = state.events
        self._names = state.attendance.names
        self._timeline = state.timeline
        self._weights_of: dict[int, int] = {}  # by node, the phase in whose turns it last reported weights

    def take(self, node: int, reply: Reply) -> None:
        """A node's reply, with its report if it has one."""
        if reply.report is None:
            return
        finite = {name: value for name, value in reply.report.scalars.items() if isfinite(value)}
        if finite:
            self._recorder.scalars(reply.slot, self._names[node], finite)
        if len(finite) < len(reply.report.scalars):  # no file of numbers can hold the others
            reason = "report with a number that is not finite"
            self._events.reject(reason, "dropped", self._names[node], reason)
        for unread in reply.report.unread:
            self._unread(self._names[node], unread)
        if reply.report.weights:
            self._learnt(node, reply.slot, reply.report.weights)

    def _learnt(self, node: int, slot: int, body: bytes) -> None:
        """Weights that a node reports, once per phase: a report is as large as a network."""
        if self._weights_of.get(node) == self._timeline.phase_number:
            reason = "report of weights, of which one per phase is taken"
            self._events.reject(reason, "dropped", self._names[node], reason)
            return
        self._weights_of[node] = self._timeline.phase_number
        self._recorder.weights(Weights(node, slot, body))

    def _unread(self, receiver: str, unread: Unread) -> None:
        source = self._names[unread.source] if 0 <= unread.source < len(self._names) else "an unknown node"
        what = f"{unread.kind.name.lower()} note from {source}"
        self._events.reject(
            f"unreadable {what}",
            "dropped",
            source,
            f"{receiver} cannot read a {what}: {printable(unread.reason)}",
            unread.number,
        )
