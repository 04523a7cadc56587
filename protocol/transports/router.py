"""The server's end of the ZeroMQ transport: one ROUTER socket for all peers."""

from collections.abc import Iterator
from contextlib import ExitStack
from select import select
from types import TracebackType
from typing import Self

import zmq

from protocol.accounting.wire_book import CURVE, NULL
from protocol.messages.codec import MAX_FRAME_BYTES
from protocol.transports.connections import FOR_ANOTHER_SERVER as FOR_ANOTHER_SERVER
from protocol.transports.connections import WITHOUT_A_KEY as WITHOUT_A_KEY
from protocol.transports.connections import Connections
from protocol.transports.curve import ENCRYPTION_BYTES, ZapAuthenticator, allow_list, lock_server
from protocol.transports.descriptors import room_for
from protocol.transports.keys import AllowedKey, ServerKeys
from protocol.transports.liveness import end_dead_connections

NOT_ON_THE_LIST = "connection with a key that is not on the list"

Received = tuple[bytes, bytes | list[int]]


class Router:
    """Receives frames from peers and sends frames to them, and reports broken and rejected connections.

    `keys`: encrypts the socket and lists the peers that may connect (the context must have no other allow-list).
    Without keys every peer may. `max_connections`: at a time, besides `other_files` that this process may have open;
    the `expected` ones are accepted even if the limit on open files is low.
    """

    def __init__(
        self,
        context: zmq.Context[zmq.Socket[bytes]],
        endpoint: str,
        *,
        keys: ServerKeys | None = None,
        timeout_s: float = 0.05,
        max_bytes: int = MAX_FRAME_BYTES,
        max_connections: int = 1000,
        expected: int = 0,
        other_files: int = 256,
    ) -> None:
        self.framing = NULL if keys is None else CURVE
        self.socket = _router(context, timeout_s, max_bytes + (0 if keys is None else ENCRYPTION_BYTES))
        self.max_connections = room_for(max_connections, others=other_files, expected=expected)
        self._connections = Connections(self.socket, encrypted=keys is not None, limit=self.max_connections)
        self._keys = keys
        self._stack = ExitStack()
        self._authenticator: ZapAuthenticator | None = None
        if keys is not None:
            self._authenticator = self._stack.enter_context(allow_list(context, keys))
            lock_server(self.socket, keys)
        self._rejected = 0
        try:
            self.socket.bind(endpoint)
        except zmq.ZMQError:
            self.close()
            raise
        self.endpoint: str = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._descriptor = int(self.socket.getsockopt(zmq.FD))

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
            if peer in self._connections.known or self._connections.register(peer, part):
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
        return max(0, self._connections.unread() - self._rejected)

    def rejected(self) -> list[tuple[str, str]]:
        """Connections rejected since the last call: reasons, and first characters of keys that are not on the list."""
        keys = self._authenticator.rejected() if self._authenticator else []
        others = self._connections.take_rejected()
        self._rejected += len(keys) + len(others)
        return [(NOT_ON_THE_LIST, key) for key in keys] + [(reason, "") for reason in others]

    def key_of(self, peer: bytes) -> AllowedKey | None:
        """The key of a peer on the list of allowed ones; None without keys."""
        return None if self._keys is None else self._keys.allowed[self._connections.key_of(peer)]

    def objection(self, peer: bytes, node: str) -> str:
        """Why a peer's key does not allow it to join as this node, or ""."""
        key = self.key_of(peer)
        return "" if key is None else key.refusal(node=node)

    def broken(self) -> list[bytes]:
        """The peers whose connections broke since the last call. Call it often: it also closes silent connections."""
        return self._connections.take_broken()

    def close(self) -> None:
        """Close the socket; the last frames are still delivered if that takes no time."""
        self._connections.close()
        self.socket.close()
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

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
    end_dead_connections(socket)
    return socket
