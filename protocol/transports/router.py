"""The server's end of the ZeroMQ transport: one ROUTER socket for all peers, and which of them disconnected."""

from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack
from select import select
from types import TracebackType
from typing import Self

import zmq
from zmq.utils.monitor import recv_monitor_message

from protocol.accounting.wire_book import CURVE, NULL
from protocol.messages.codec import MAX_FRAME_BYTES
from protocol.transports.curve import ENCRYPTION_BYTES, ZapAuthenticator, allow_list, lock_server
from protocol.transports.keys import ServerKeys

NOT_ON_THE_LIST = "connection with a key that is not on the list"
WITHOUT_A_KEY = "connection without a key"
FOR_ANOTHER_SERVER = "connection with the key of another server"

_EVENTS = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED
_ENCRYPTED_EVENTS = (
    _EVENTS
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)

Received = tuple[bytes, bytes | list[int]]


class Router:
    """Receives frames from peers and sends frames to them, and reports broken and rejected connections.

    `keys`: encrypts the socket and lists the peers that may connect (the context must have no other allow-list).
    Without keys every peer may.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        *,
        keys: ServerKeys | None = None,
        timeout_s: float = 0.05,
        max_bytes: int = MAX_FRAME_BYTES,
    ) -> None:
        self.framing = NULL if keys is None else CURVE
        self.socket = _router(context, timeout_s, max_bytes + (0 if keys is None else ENCRYPTION_BYTES))
        self.monitor = self.socket.get_monitor_socket(_EVENTS if keys is None else _ENCRYPTED_EVENTS)
        self._stack = ExitStack()
        self._authenticator: ZapAuthenticator | None = None
        if keys is not None:
            self._authenticator = self._stack.enter_context(allow_list(context, keys))
            lock_server(self.socket, keys)
        self._failed: list[str] = []  # reasons of the handshakes that failed since the last call of `rejected`
        self._rejected = 0
        try:
            self.socket.bind(endpoint)
        except zmq.ZMQError:
            self.close()
            raise
        self.endpoint: str = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._descriptor = int(self.socket.getsockopt(zmq.FD))
        self._unread = 0  # connections that closed without a readable frame, whose descriptors were used again
        # ZeroMQ's monitor names connections by file descriptor, frames by peer: the descriptor of a peer's first frame
        # connects the two.
        self._peer_of: dict[int, bytes] = {}
        self._known: set[bytes] = set()
        self._left: deque[bytes] = deque(maxlen=1024)  # peers whose last frames may still come; older ones have none
        self._broken: list[bytes] = []
        self._closed: set[int] = set()  # descriptors of connections that closed before a frame of theirs was read

    def receive(self) -> Received | None:
        """The next frame and its peer; None if none came within the timeout. A multipart message gives the lengths of
        its parts."""
        return self._receive(0)  # waiting inside recv costs half of what a poller does

    def receive_within(self, seconds: float) -> Received | None:
        """The next frame; None if none came within `seconds`, or earlier, when the transport woke up for something
        else."""
        received = self._receive(zmq.NOBLOCK)
        if received is None and seconds > 0:
            # select, unlike RCVTIMEO and zmq.Poller, waits more exactly than to the millisecond.
            select([self._descriptor], [], [], seconds)
            received = self._receive(zmq.NOBLOCK)
        return received

    def pending(self) -> Iterator[Received]:
        """The frames that have come already, without waiting for more."""
        while (received := self._receive(zmq.NOBLOCK)) is not None:
            yield received

    def _receive(self, flags: int) -> Received | None:
        while True:
            try:
                peer = self.socket.recv(flags)
            except zmq.Again:
                return None
            part = self.socket.recv(copy=False)
            frame = self._lengths(part) if part.more else part.bytes
            if peer in self._known or self._register(peer, part):
                return peer, frame

    def send(self, peer: bytes, frame: bytes) -> None:
        """Hand a frame to the transport; a frame for a peer that has disconnected is dropped."""
        try:
            self.socket.send(peer, zmq.SNDMORE)
            self.socket.send(frame)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise

    def unread_connections(self) -> int:
        """How many connections closed without a readable frame: they did not speak ZeroMQ, or sent an oversized frame.

        Connections that `rejected` returned are not counted.
        """
        self._read_monitor()
        return max(0, self._unread + len(self._closed) - self._rejected)

    def rejected(self) -> list[tuple[str, str]]:
        """Connections rejected since the last call: reasons, and first characters of keys that are not on the list."""
        self._read_monitor()
        failed, self._failed = self._failed, []
        self._rejected += len(failed)
        keys = iter(self._authenticator.rejected() if self._authenticator else ())
        return [(reason, next(keys, "") if reason == NOT_ON_THE_LIST else "") for reason in failed]

    def broken(self) -> list[bytes]:
        """The peers whose connections broke since the last call."""
        self._read_monitor()
        broken, self._broken = self._broken, []
        return broken

    def close(self) -> None:
        """Close the socket; the last frames are still delivered if that takes no time."""
        self.socket.disable_monitor()
        self.monitor.close()
        self.socket.close()
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _register(self, peer: bytes, frame: zmq.Frame) -> bool:
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
            self._known.add(peer)
            self._peer_of[descriptor] = peer
        return True

    def _read_monitor(self) -> None:
        """Process connections and disconnections. A descriptor may be used again once its connection has closed."""
        while self.monitor.poll(0):
            event = recv_monitor_message(self.monitor)
            descriptor = event["value"]
            if event["event"] == zmq.EVENT_ACCEPTED:
                self._unread += descriptor in self._closed
                self._closed.discard(descriptor)
            elif event["event"] != zmq.EVENT_DISCONNECTED:
                self._failed.append(_failure(event["event"], event["value"]))
            elif (peer := self._peer_of.pop(descriptor, None)) is not None:
                self._known.discard(peer)
                self._report_broken(peer)
            else:
                self._closed.add(descriptor)

    def _report_broken(self, peer: bytes) -> None:
        self._broken.append(peer)
        self._left.append(peer)

    def _lengths(self, part: zmq.Frame) -> list[int]:
        """The lengths of all parts of a message that has several."""
        lengths = [len(part.bytes)]
        while part.more:
            part = self.socket.recv(copy=False)
            lengths.append(len(part.bytes))
        return lengths


def _router(context: zmq.Context[zmq.Socket[bytes]], timeout_s: float, max_bytes: int) -> zmq.Socket[bytes]:
    """A ROUTER that is not bound yet."""
    socket = context.socket(zmq.ROUTER)
    socket.setsockopt(zmq.LINGER, 500)
    socket.setsockopt(zmq.SNDHWM, 0)  # a slow peer must not block the others: liveness is checked by the protocol above
    socket.setsockopt(zmq.RCVTIMEO, int(1000 * timeout_s))
    # A frame for a peer that has disconnected is an error, not lost silently.
    socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
    socket.setsockopt(zmq.MAXMSGSIZE, max_bytes)
    socket.setsockopt(zmq.HEARTBEAT_IVL, 0)
    return socket


def _failure(event: int, error: int) -> str:
    """Why a handshake failed. A handshake that ended before the client sent a key counts as without a key."""
    if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        return NOT_ON_THE_LIST
    return FOR_ANOTHER_SERVER if error == zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC else WITHOUT_A_KEY
