"""The connections of a ROUTER socket: which peer each belongs to, which broke, which are rejected.

Anybody can connect. A connection that sends no readable frame in time is closed, and so are those above a limit: they
must not take the file descriptors that the process needs for others.
"""

from collections import deque
from itertools import islice

import zmq
from zmq.utils.monitor import recv_monitor_message

from protocol.transports.descriptors import shut_down
from protocol.transports.running_time import RunningTime

WITHOUT_A_KEY = "connection without a key"
FOR_ANOTHER_SERVER = "connection with the key of another server"
WITHOUT_A_FRAME = "connection without a frame"
ABOVE_THE_LIMIT = "connection above the limit"

FIRST_FRAME_TIMEOUT_S = 15.0
_CHECK_INTERVAL_S = 0.05

_EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED
# Not EVENT_HANDSHAKE_FAILED_AUTH: the authenticator that rejected the key reports it. Nor EVENT_ACCEPT_FAILED: ZeroMQ
# that finds no free descriptor tries again at once, for ever, and the events would fill the memory.
_ENCRYPTED_EVENTS = _EVENTS | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
_MAX_LEFT = 1024


class Connections:
    """Reads the socket's ZeroMQ monitor. Create it before the socket is bound. `known`: the peers that are connected.

    The monitor names a connection by its file descriptor, a frame names it by its peer: the descriptor that a peer's
    first frame carries links the two. `limit`: of connections at a time.
    """

    def __init__(self, socket: zmq.Socket[bytes], *, encrypted: bool, limit: int) -> None:
        self.known: set[bytes] = set()
        self._socket = socket
        self._encrypted = encrypted
        self._limit = limit
        self._monitor = socket.get_monitor_socket(_ENCRYPTED_EVENTS if encrypted else _EVENTS)
        self._time = RunningTime()
        self._silent = SilentConnections(self._time.now())
        self._peer_of: dict[int, bytes] = {}  # by descriptor
        self._keys: dict[bytes, bytes] = {}  # by peer
        self._left: deque[bytes] = deque()  # peers whose last frames may still come; older have none
        self._broken: list[bytes] = []
        self._rejected: list[str] = []  # reasons
        self._shut_down: set[int] = set()  # descriptors of connections that are rejected and not closed yet
        self._failure = ""  # why the handshake failed of the connection that disconnects next
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
        if descriptor in self._shut_down:
            return False
        if len(self.known) >= self._limit:
            self._hang_up(descriptor, ABOVE_THE_LIMIT)
            return False
        if self._encrypted:
            self._keys[peer] = str(frame.get("User-Id")).encode()
        if descriptor in self._closed:  # it disconnected before its first frame was read
            self._closed.discard(descriptor)
            self._report_broken(peer)
        else:
            self.known.add(peer)
            self._peer_of[descriptor] = peer
            self._silent.discard(descriptor)
        return True

    def key_of(self, peer: bytes) -> bytes:
        """The public key of a peer, Z85; empty on a socket without keys."""
        return self._keys.get(peer, b"")

    def take_broken(self) -> list[bytes]:
        """The peers whose connections broke, each returned once. Also closes the connections that stay silent."""
        self._read_monitor()
        for descriptor in self._silent.late(self._time.now()):
            self._hang_up(descriptor, WITHOUT_A_FRAME)
        for descriptor in self._silent.oldest(len(self.known) + len(self._silent) - self._limit):
            self._hang_up(descriptor, ABOVE_THE_LIMIT)
        broken, self._broken = self._broken, []
        return broken

    def take_rejected(self) -> list[str]:
        """The reasons of the connections that were rejected for something else than their keys, each returned once."""
        self._read_monitor()
        rejected, self._rejected = self._rejected, []
        return rejected

    def unread(self) -> int:
        """How many connections closed without a readable frame, rejected ones included."""
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
            if event["event"] == zmq.EVENT_ACCEPTED:
                self._accepted(event["value"])
            elif event["event"] == zmq.EVENT_DISCONNECTED:
                self._disconnected(event["value"])
            else:  # the event does not name the connection, but the next one does: it disconnects
                self._failure = _failure(event["value"])

    def _accepted(self, descriptor: int) -> None:
        self._unread += descriptor in self._closed
        self._closed.discard(descriptor)
        self._silent.add(descriptor)

    def _disconnected(self, descriptor: int) -> None:
        failure, self._failure = self._failure, ""
        if failure and descriptor not in self._shut_down:
            self._rejected.append(failure)
        self._shut_down.discard(descriptor)
        self._silent.discard(descriptor)
        if (peer := self._peer_of.pop(descriptor, None)) is not None:
            self.known.discard(peer)
            self._report_broken(peer)
        else:
            self._closed.add(descriptor)

    def _hang_up(self, descriptor: int, reason: str) -> None:
        self._silent.discard(descriptor)
        self._shut_down.add(descriptor)
        self._rejected.append(reason)
        shut_down(descriptor, int(self._socket.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2]))

    def _report_broken(self, peer: bytes) -> None:
        self._broken.append(peer)
        self._left.append(peer)
        if len(self._left) > _MAX_LEFT:
            self._keys.pop(self._left.popleft(), None)


class SilentConnections:
    """The descriptors of connections that have not sent a readable frame, and since when. `now`: of a RunningTime."""

    def __init__(self, now: float) -> None:
        self._since: dict[int, float] = {}
        self._checked_at = now

    def __len__(self) -> int:
        return len(self._since)

    def add(self, descriptor: int) -> None:
        """It was accepted since the last check."""
        self._since[descriptor] = self._checked_at

    def discard(self, descriptor: int) -> None:
        """It has sent a frame, or is closed."""
        self._since.pop(descriptor, None)

    def late(self, now: float) -> list[int]:
        """Those that have been silent for too long; checked at intervals."""
        if now - self._checked_at < _CHECK_INTERVAL_S:
            return []
        self._checked_at = now
        return [one for one, since in self._since.items() if now - since > FIRST_FRAME_TIMEOUT_S]

    def oldest(self, count: int) -> list[int]:
        """So many of them."""
        return list(islice(self._since, max(0, count)))


def _failure(error: int) -> str:
    """Why a handshake failed. A handshake that ended before the client sent a key counts as without a key."""
    return FOR_ANOTHER_SERVER if error == zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC else WITHOUT_A_KEY
