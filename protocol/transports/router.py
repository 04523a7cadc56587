"""The channel server's end of the ZeroMQ transport: one ROUTER socket for all nodes, and who has left."""

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

_WATCHED = zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED
_WATCHED_WHEN_LOCKED = (
    _WATCHED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)

Received = tuple[bytes, bytes | list[int]]


class Router:
    """Frames from and to peers. A broken connection is told apart by the file descriptor its first frame came from.

    `keys`: what it is locked with, and who may come in; the context has no other allow-list. Without, anybody may.
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
        self.socket = context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 500)
        self.socket.setsockopt(zmq.SNDHWM, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, int(1000 * timeout_s))
        self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.socket.setsockopt(zmq.MAXMSGSIZE, max_bytes + (0 if keys is None else ENCRYPTION_BYTES))
        self.socket.setsockopt(zmq.HEARTBEAT_IVL, 0)
        self.monitor = self.socket.get_monitor_socket(_WATCHED if keys is None else _WATCHED_WHEN_LOCKED)
        self._stack = ExitStack()
        self._authenticator: ZapAuthenticator | None = None
        if keys is not None:
            self._authenticator = self._stack.enter_context(allow_list(context, keys))
            lock_server(self.socket, keys)
        self._failed: list[str] = []  # why handshakes failed of late
        self._rejected = 0
        try:
            self.socket.bind(endpoint)
        except zmq.ZMQError:
            self.close()
            raise
        self.endpoint: str = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._descriptor = int(self.socket.getsockopt(zmq.FD))
        self.silent = 0
        self._peer_of: dict[int, bytes] = {}
        self._known: set[bytes] = set()
        self._left: deque[bytes] = deque(maxlen=1024)  # frames of theirs may still be read; older ones have none
        self._broken: list[bytes] = []
        self._closed: set[int] = set()  # descriptors of connections that closed before a frame of theirs was read

    def receive(self) -> Received | None:
        """The next frame and its peer; None if none came for a moment. Of one in several parts, their lengths.

        Waiting inside `recv` costs half of what a poller does, so whatever else is to be watched waits for that moment.
        """
        return self._receive(0)

    def receive_within(self, seconds: float) -> Received | None:
        """The next frame, or None: it has been waited for to the end, more exactly than to the millisecond, or the
        transport had something else to do."""
        received = self._receive(zmq.NOBLOCK)
        if received is None and seconds > 0:
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
            if peer in self._known or self._meet(peer, part):
                return peer, frame

    def send(self, peer: bytes, frame: bytes) -> None:
        """Hand a frame to the transport; one for a peer that has left is dropped."""
        try:
            self.socket.send(peer, zmq.SNDMORE)
            self.socket.send(frame)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise

    def unread_connections(self) -> int:
        """Connections that closed without a frame that could be read: no ZeroMQ, or a frame larger than any may be.

        Those that `rejected` has told are not among them.
        """
        self._read_monitor()
        return max(0, self.silent + len(self._closed) - self._rejected)

    def rejected(self) -> list[tuple[str, str]]:
        """Connections refused since the last call: why, and of a key that is not on the list its first characters."""
        self._read_monitor()
        failed, self._failed = self._failed, []
        self._rejected += len(failed)
        keys = iter(self._authenticator.refused() if self._authenticator else ())
        return [(reason, next(keys, "") if reason == NOT_ON_THE_LIST else "") for reason in failed]

    def broken(self) -> list[bytes]:
        """Peers whose connections broke since the last call."""
        self._read_monitor()
        broken, self._broken = self._broken, []
        return broken

    def close(self) -> None:
        """What was sent last is still delivered, if that takes no time."""
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

    def _meet(self, peer: bytes, frame: zmq.Frame) -> bool:
        """Remember which descriptor this peer's frames come from, before it may be used by another.

        False for a peer whose frames do not tell: it speaks ZMTP 1 or 2, as any bytes may be read, and is not heard.
        One that has left is heard to its last frame, though its descriptor may be another's by now.
        """
        try:
            descriptor = int(frame.get(zmq.SRCFD))
        except zmq.ZMQError:
            return False
        self._read_monitor()
        if peer in self._left:
            return True
        if descriptor in self._closed:  # it spoke and left before it was heard
            self._closed.discard(descriptor)
            self._part_with(peer)
        else:
            self._known.add(peer)
            self._peer_of[descriptor] = peer
        return True

    def _read_monitor(self) -> None:
        """Connections of late: a descriptor may be used again as soon as its connection has closed."""
        while self.monitor.poll(0):
            event = recv_monitor_message(self.monitor)
            descriptor = event["value"]
            if event["event"] == zmq.EVENT_ACCEPTED:
                self.silent += descriptor in self._closed
                self._closed.discard(descriptor)
            elif event["event"] != zmq.EVENT_DISCONNECTED:
                self._failed.append(_failure(event["event"], event["value"]))
            elif (peer := self._peer_of.pop(descriptor, None)) is not None:
                self._known.discard(peer)
                self._part_with(peer)
            else:
                self._closed.add(descriptor)

    def _part_with(self, peer: bytes) -> None:
        self._broken.append(peer)
        self._left.append(peer)

    def _lengths(self, part: zmq.Frame) -> list[int]:
        """The lengths of all parts of a message that has several."""
        lengths = [len(part.bytes)]
        while part.more:
            part = self.socket.recv(copy=False)
            lengths.append(len(part.bytes))
        return lengths


def _failure(event: int, error: int) -> str:
    """Why a handshake failed. One that ended before a key was shown is without a key, whatever else was said."""
    if event == zmq.EVENT_HANDSHAKE_FAILED_AUTH:
        return NOT_ON_THE_LIST
    return FOR_ANOTHER_SERVER if error == zmq.PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC else WITHOUT_A_KEY
