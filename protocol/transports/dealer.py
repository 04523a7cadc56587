"""The client's end of the ZeroMQ transport: one DEALER socket and the state of its connection.

`Dealer` blocks and never reconnects: a node that loses its channel server starts anew.
`ReconnectingDealer` never blocks: a worker polls several of them, and each survives a restart of the other end.
"""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

import zmq
from zmq.utils.monitor import recv_monitor_message

from protocol.messages.codec import MAX_FRAME_BYTES
from protocol.transports.curve import ENCRYPTION_BYTES, lock_client
from protocol.transports.keys import ClientKeys
from protocol.transports.liveness import end_dead_connections

_CLIENT_EVENTS = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
    | zmq.EVENT_DISCONNECTED
    | zmq.EVENT_CONNECT_RETRIED
)


class ConnectionLost(ConnectionError):
    """The connection to the channel server broke."""


class ConnectionMonitor:
    """The state of a client socket's connection, from its ZeroMQ monitor. Create it before the socket connects.

    connected        the handshake succeeded and the connection has not broken since
    breaks           how many established connections broke
    failures         how many attempts failed before the first connection was established
    closed           whether any connection, established or not, was closed
    not_allowed      the server rejected this client's key
    protocol_failed  the two ends do not agree on encryption
    """

    def __init__(self, socket: zmq.Socket[bytes]) -> None:
        self.connected = False
        self.breaks = 0
        self.failures = 0
        self.closed = False
        self.not_allowed = False
        self.protocol_failed = False
        self._socket = socket
        self._monitor = socket.get_monitor_socket(_CLIENT_EVENTS)

    def poll(self) -> None:
        """Bring the state up to date."""
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            self.not_allowed |= event == zmq.EVENT_HANDSHAKE_FAILED_AUTH
            self.protocol_failed |= event == zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
            self.failures += event == zmq.EVENT_CONNECT_RETRIED and not self.breaks
            self.breaks += self.connected and event == zmq.EVENT_DISCONNECTED
            self.closed |= event == zmq.EVENT_DISCONNECTED
            self.connected = event == zmq.EVENT_HANDSHAKE_SUCCEEDED

    def close(self) -> None:
        """Stop monitoring; call it before the socket is closed."""
        self._socket.disable_monitor()
        self._monitor.close()


class Dealer:
    """A node's connection to its channel server. `keys`: None on this machine's loopback interface."""

    def __init__(self, endpoint: str, *, keys: ClientKeys | None = None, timeout_s: float = 0.25) -> None:
        self._context = zmq.Context()
        self._socket = _dealer(self._context, keys, MAX_FRAME_BYTES)
        self._socket.setsockopt(zmq.LINGER, 2000)
        # Waiting inside recv costs half of what a poller does.
        self._socket.setsockopt(zmq.RCVTIMEO, int(1000 * timeout_s))
        self._socket.setsockopt(zmq.SNDTIMEO, int(1000 * timeout_s))  # ZeroMQ takes no frame for a rejected client
        self._encrypted = keys is not None
        self._monitor = ConnectionMonitor(self._socket)
        self._socket.connect(endpoint)

    def send(self, frame: bytes) -> None:
        """Hand a frame to the transport. ConnectionLost when the connection is broken."""
        while True:
            try:
                self._socket.send(frame)
                return
            except zmq.Again:
                self._check_connection()

    def receive(self) -> bytes | None:
        """The next frame, or None if none came within the timeout. ConnectionLost when the connection is broken."""
        try:
            return self._socket.recv()
        except zmq.Again:
            self._check_connection()
            return None

    def _check_connection(self) -> None:
        self._monitor.poll()
        if self._monitor.closed:
            self._socket.setsockopt(zmq.LINGER, 0)  # no peer is left to take what was not sent
            raise ConnectionLost(self._why_closed())

    def _why_closed(self) -> str:
        if self._monitor.breaks:
            return "the channel server is gone"
        if self._monitor.not_allowed:
            return "this node's key is not on the channel server's list: add it there (airtoll keys allow DIR FILE)"
        if self._encrypted:
            fix = "check that it uses keys, and that server.key is its public key"
        else:
            fix = "if it requires keys, give this node some (airtoll keys make DIR)"
        return f"the channel server closed the connection during the handshake: {fix}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._monitor.close()
        self._socket.close()
        self._context.term()


class ReconnectingDealer:
    """A worker's connection to `endpoint`, which is made again when it breaks; one of several that share a poller.
    `renew` makes it again as another peer.

    Frames sent while there is no connection are dropped. A received frame of more than `max_bytes` breaks the
    connection. `keys`: None if the other end is not encrypted.
    """

    def __init__(
        self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, *, max_bytes: int, keys: ClientKeys | None = None
    ) -> None:
        self._context, self._endpoint = context, endpoint
        self._max_bytes, self._keys = max_bytes, keys
        self._connect()

    def _connect(self) -> None:
        self.socket = _dealer(self._context, self._keys, self._max_bytes)
        self.socket.setsockopt(zmq.LINGER, 500)
        self.socket.setsockopt(zmq.RECONNECT_IVL, 200)
        self.monitor = ConnectionMonitor(self.socket)
        self.socket.connect(self._endpoint)

    def renew(self) -> None:
        """Connect by a new socket: of the frames that wait in the old one, the other end must not receive any before
        those that introduce the new connection."""
        self.socket.setsockopt(zmq.LINGER, 0)
        self.close()
        self._connect()

    @property
    def rejection(self) -> str:
        """Why the other end will never accept this connection; "" as long as it may."""
        if self.monitor.not_allowed:
            return "its key is not on the server's list: add it there (airtoll keys allow DIR FILE)"
        if self.monitor.protocol_failed:
            return "one end has keys and the other has none: give both, or none (--keys DIR)"
        return ""

    def send(self, frame: bytes) -> bool:
        """Hand a frame to the transport; False if there is no connection."""
        if not self.monitor.connected:
            return False
        try:
            self.socket.send(frame, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def pending(self) -> Iterator[bytes]:
        """The frames that have come, without waiting for more."""
        while True:
            try:
                yield self.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return

    def close(self) -> None:
        """Close the connection; the last frames are still sent if that takes no time."""
        self.monitor.close()
        self.socket.close()


def _dealer(context: zmq.Context[zmq.Socket[bytes]], keys: ClientKeys | None, max_bytes: int) -> zmq.Socket[bytes]:
    """A DEALER that is not connected yet."""
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.HEARTBEAT_IVL, 0)  # liveness is the business of the protocol above
    socket.setsockopt(zmq.MAXMSGSIZE, max_bytes + (0 if keys is None else ENCRYPTION_BYTES))
    end_dead_connections(socket)
    if keys is not None:
        lock_client(socket, keys)
    return socket
