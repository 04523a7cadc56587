"""A worker's end of a line: one DEALER socket that others are waited for beside, and whether it is connected."""

from collections.abc import Iterator

import zmq
from zmq.utils.monitor import recv_monitor_message

from protocol.transports.curve import ENCRYPTION_BYTES, lock_client
from protocol.transports.keys import ClientKeys

_REFUSALS: dict[int, str] = {
    zmq.EVENT_HANDSHAKE_FAILED_AUTH: "its key is not on the list there: add it (airtoll keys allow DIR FILE)",
    zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL: "one end has keys and the other has none: give both, or none (--keys DIR)",
}
_WATCHED = zmq.EVENT_HANDSHAKE_SUCCEEDED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CONNECT_RETRIED
for _event in _REFUSALS:
    _WATCHED |= _event


class Line:
    """A connection to `endpoint` that is made again when it breaks. Frames of more than `max_bytes` break it.

    What is said while there is no connection is forgotten. `keys`: what it is locked with, if the other end is.
    `refused`: why it will never stand, the other end does not take the key.
    """

    def __init__(
        self,
        context: "zmq.Context[zmq.Socket[bytes]]",
        endpoint: str,
        *,
        max_bytes: int,
        keys: ClientKeys | None = None,
    ) -> None:
        self.socket = context.socket(zmq.DEALER)
        self.socket.setsockopt(zmq.LINGER, 500)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 200)
        self.socket.setsockopt(zmq.HEARTBEAT_IVL, 0)
        self.socket.setsockopt(zmq.MAXMSGSIZE, max_bytes + (0 if keys is None else ENCRYPTION_BYTES))
        if keys is not None:
            lock_client(self.socket, keys)
        self.connected = False
        self.breaks = 0  # so often the connection was lost
        self.refused = ""
        self.failures = 0  # so often nobody answered
        self._monitor = self.socket.get_monitor_socket(_WATCHED)
        self.socket.connect(endpoint)

    def look(self) -> None:
        """Bring `connected`, `breaks` and `failures` up to date."""
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            self.refused = self.refused or _REFUSALS.get(event, "")
            self.failures += event == zmq.EVENT_CONNECT_RETRIED and not self.breaks
            self.breaks += self.connected and event == zmq.EVENT_DISCONNECTED
            self.connected = event == zmq.EVENT_HANDSHAKE_SUCCEEDED

    def say(self, frame: bytes) -> bool:
        """Hand a frame to the transport; False if there is no connection."""
        if not self.connected:
            return False
        try:
            self.socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def heard(self) -> Iterator[bytes]:
        """The frames that have come, without waiting for more."""
        while True:
            try:
                yield self.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return

    def close(self) -> None:
        """What was said last is still sent, if that takes no time."""
        self.socket.disable_monitor()
        self._monitor.close()
        self.socket.close()
