"""The channel server's end of the ZeroMQ transport: one ROUTER socket for all nodes, and who has left."""

from collections.abc import Iterator
from types import TracebackType
from typing import Self

import zmq
from zmq.utils.monitor import recv_monitor_message

from protocol.codec import MAX_FRAME_BYTES

Received = tuple[bytes, bytes | None]


class Router:
    """Frames from and to peers. A broken connection is told apart by the file descriptor its first frame came from."""

    def __init__(self, context: zmq.Context[zmq.Socket[bytes]], endpoint: str, *, patience_s: float = 0.05) -> None:
        self.socket = context.socket(zmq.ROUTER)
        self.socket.setsockopt(zmq.LINGER, 500)
        self.socket.setsockopt(zmq.SNDHWM, 0)
        self.socket.setsockopt(zmq.RCVTIMEO, int(1000 * patience_s))
        self.socket.setsockopt(zmq.ROUTER_MANDATORY, 1)
        self.socket.setsockopt(zmq.MAXMSGSIZE, MAX_FRAME_BYTES)
        self.socket.setsockopt(zmq.HEARTBEAT_IVL, 0)
        self.monitor = self.socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self.socket.bind(endpoint)
        self.endpoint: str = self.socket.getsockopt_string(zmq.LAST_ENDPOINT)
        self._peer_of: dict[int, bytes] = {}
        self._known: set[bytes] = set()
        self._broken: list[bytes] = []

    def receive(self) -> Received | None:
        """The next frame and its peer; None if none came for a moment. The frame is None if it came in several parts.

        Waiting inside `recv` costs half of what a poller does, so whatever else is to be watched waits for that moment.
        """
        return self._receive(0)

    def pending(self) -> Iterator[Received]:
        """The frames that have come already, without waiting for more."""
        while (received := self._receive(zmq.NOBLOCK)) is not None:
            yield received

    def _receive(self, flags: int) -> Received | None:
        try:
            peer = self.socket.recv(flags)
        except zmq.Again:
            return None
        if peer not in self._known:
            return peer, self._first_frame(peer)
        frame = self.socket.recv()
        return peer, self._alone(frame)

    def send(self, peer: bytes, frame: bytes) -> None:
        """Hand a frame to the transport; one for a peer that has left is dropped."""
        try:
            self.socket.send(peer, zmq.SNDMORE)
            self.socket.send(frame)
        except zmq.ZMQError as error:
            if error.errno != zmq.EHOSTUNREACH:
                raise

    def broken(self) -> list[bytes]:
        """Peers whose connections broke since the last call."""
        self._read_monitor()
        broken, self._broken = self._broken, []
        return broken

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.socket.disable_monitor()
        self.monitor.close()
        self.socket.close()

    def _first_frame(self, peer: bytes) -> bytes | None:
        """Remember which descriptor this peer's frames come from, before it may be used by another."""
        frame = self.socket.recv(copy=False)
        self._read_monitor()
        self._known.add(peer)
        self._peer_of[frame.get(zmq.SRCFD)] = peer
        return self._alone(frame.bytes)

    def _read_monitor(self) -> None:
        while self.monitor.poll(0):
            descriptor = recv_monitor_message(self.monitor)["value"]
            peer = self._peer_of.pop(descriptor, None)
            if peer is not None:
                self._known.discard(peer)
                self._broken.append(peer)

    def _alone(self, frame: bytes) -> bytes | None:
        """The frame if it is a whole message; the other parts of one that is not are thrown away."""
        if not self.socket.getsockopt(zmq.RCVMORE):
            return frame
        while self.socket.getsockopt(zmq.RCVMORE):
            self.socket.recv()
        return None
