"""The node's end of the ZeroMQ transport: one DEALER socket to the channel server."""

from types import TracebackType
from typing import Self

import zmq

from protocol.messages.codec import MAX_FRAME_BYTES
from protocol.transports.curve import ENCRYPTION_BYTES, ConnectionMonitor, lock_client
from protocol.transports.keys import ClientKeys


class ChannelGone(ConnectionError):
    """The connection to the channel server broke."""


class Dealer:
    """A connection that is noticed when it breaks. Never reconnects: a node that lost its server starts anew.

    `keys`: what it is locked with; None on a machine's own loopback.
    """

    def __init__(self, endpoint: str, *, keys: ClientKeys | None = None, timeout_s: float = 0.25) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 2000)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES + (0 if keys is None else ENCRYPTION_BYTES))
        self._socket.setsockopt(zmq.RCVTIMEO, int(1000 * timeout_s))
        self._socket.setsockopt(zmq.SNDTIMEO, int(1000 * timeout_s))  # of who is refused, ZeroMQ takes nothing more
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, 0)
        if keys is not None:
            lock_client(self._socket, keys)
        self._standing = ConnectionMonitor(self._socket, keys, "the channel server")
        self._socket.connect(endpoint)

    def send(self, frame: bytes) -> None:
        """Hand a frame to the transport. ChannelGone when it will take none any more."""
        while True:
            try:
                self._socket.send(frame)
                return
            except zmq.Again:
                self._check_standing()

    def receive(self) -> bytes | None:
        """The next frame, or None when nothing came for a while. ChannelGone when nothing will come any more."""
        try:
            return self._socket.recv()
        except zmq.Again:
            self._check_standing()
            return None

    def _check_standing(self) -> None:
        if reason := self._standing.broken():
            self._socket.setsockopt(zmq.LINGER, 0)  # nobody is there to take what was not sent
            raise ChannelGone(reason)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._standing.close()
        self._socket.close()
        self._context.term()
