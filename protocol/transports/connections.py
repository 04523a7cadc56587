"""The connections of a ROUTER socket: which peer each belongs to, which broke, which failed in the handshake."""

from collections import deque

import zmq
from zmq.utils.monitor import recv_monitor_message

WITHOUT_A_KEY = "connection without a key"
FOR_ANOTHER_SERVER = "connection with the key of another server"

_EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED
# Not EVENT_HANDSHAKE_FAILED_AUTH: the authenticator that rejected the key tells of it.
_ENCRYPTED_EVENTS = _EVENTS | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
_MAX_LEFT = 1024


class Connections:
    """Reads the socket's ZeroMQ monitor. Create it before the socket is bound. `known`: the peers that are connected.

    The monitor names a connection by its file descriptor, a frame names it by its peer: the descriptor that a peer's
    first frame carries links the two.
    """

    def __init__(self, socket: zmq.Socket[bytes], *, encrypted: bool) -> None:
        self.known: set[bytes] = set()
        self._socket = socket
        self._monitor = socket.get_monitor_socket(_ENCRYPTED_EVENTS if encrypted else _EVENTS)
        self._peer_of: dict[int, bytes] = {}  # by descriptor
        self._left: deque[bytes] = deque(maxlen=_MAX_LEFT)  # peers whose last frames may still come; older have none
        self._broken: list[bytes] = []
        self._failed: list[str] = []  # reasons of failed handshakes
        self._closed: set[int] = set()  # descriptors of connections that closed before a frame of theirs was read
        self._unread = 0  # connections that closed without a readable frame, whose descriptors were used again

    def register(self, peer: bytes, frame: zmq.Frame) -> bool:
        """Remember the descriptor of a new peer's connection; whether its frame is accepted."""
        try:
            descriptor = int(frame.get(zmq.SRCFD))
        except zmq.ZMQError:
            return False  # ZMTP 1 or 2, as which any bytes may be read: such frames do not carry their descriptor
        self._read_monitor()
        if peer in self._left:
            return True  # its last frames are accepted, though its descriptor may belong to another peer by now
        if descriptor in self._closed:  # it disconnected before its first frame was read
            self._closed.discard(descriptor)
            self._report_broken(peer)
        else:
            self.known.add(peer)
            self._peer_of[descriptor] = peer
        return True

    def take_broken(self) -> list[bytes]:
        """The peers whose connections broke, each returned once."""
        self._read_monitor()
        broken, self._broken = self._broken, []
        return broken

    def take_failed(self) -> list[str]:
        """The reasons of the handshakes that failed before a key could be looked up, each returned once."""
        self._read_monitor()
        failed, self._failed = self._failed, []
        return failed

    def unread(self) -> int:
        """How many connections closed without a readable frame, failed handshakes included."""
        self._read_monitor()
        return self._unread + len(self._closed)

    def close(self) -> None:
        """Stop monitoring; call it before the socket is closed."""
        self._socket.disable_monitor()
        self._monitor.close()

    def _read_monitor(self) -> None:
        """Process connections and disconnections. A descriptor may be used again once its connection has closed."""
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)
            descriptor = event["value"]
            if event["event"] == zmq.EVENT_ACCEPTED:
                self._unread += descriptor in self._closed
                self._closed.discard(descriptor)
            elif event["event"] != zmq.EVENT_DISCONNECTED:
                self._failed.append(_failure(event["value"]))
            elif (peer := self._peer_of.pop(descriptor, None)) is not None:
                self.known.discard(peer)
                self._report_broken(peer)
            else:
                self._closed.add(descriptor)

    def _report_broken(self, peer: bytes) -> None:
        self._broken.append(peer)
        self._left.append(peer)


def _failure(error: int) -> str:
    """Why a handshake failed. A handshake that ended before the client sent a key counts as without a key."""
    return FOR_ANOTHER_SERVER if error == zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC else WITHOUT_A_KEY
