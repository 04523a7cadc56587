"""The node's end of the ZeroMQ transport: one DEALER socket to the channel server."""

from types import TracebackType
from typing import Self

import zmq
from zmq.utils.monitor import recv_monitor_message

from protocol.codec import MAX_FRAME_BYTES


class ChannelGone(ConnectionError):
    """The connection to the channel server broke."""


class Dealer:
    """A connection that is noticed when it breaks. Never reconnects: a node that lost its server starts anew."""

    def __init__(self, endpoint: str, *, patience_s: float = 0.25) -> None:
        self._context = zmq.Context()
        self._socket = self._context.socket(zmq.DEALER)
        self._socket.setsockopt(zmq.LINGER, 2000)
        self._socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        self._socket.setsockopt(zmq.RCVTIMEO, int(1000 * patience_s))
        self._socket.setsockopt(zmq.HEARTBEAT_IVL, 0)
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._socket.connect(endpoint)
        self.send = self._socket.send

    def receive(self) -> bytes | None:
        """The next frame, or None when nothing came for a while. ChannelGone when nothing will come any more."""
        try:
            return self._socket.recv()
        except zmq.Again:
            if self._monitor.poll(0):
                recv_monitor_message(self._monitor)
                raise ChannelGone("the channel server is gone") from None
            return None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._socket.disable_monitor()
        self._monitor.close()
        self._socket.close()
        self._context.term()
