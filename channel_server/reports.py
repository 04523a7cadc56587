"""What nodes report with their replies: scalars go to the recorder, notes that could not be read to the events."""

from math import isfinite

from channel_server.run_state import RunState
from protocol.messages.node import Reply, Unread
from protocol.messages.text import printable


class Reports:
    """Takes the reports of nodes, given by index. They are taken when a turn closes, by node index, so that their order
    does not depend on whose reply comes first."""

    def __init__(self, state: RunState) -> None:
        self._recorder = state.recorder
        self._events = state.events
        self._names = state.attendance.names

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
