"""The launcher's end of its connection with the channel server: telemetry comes in, requests go out."""

from contextlib import ExitStack
from struct import Struct

import msgspec
import zmq

from controller.execution.machine import Machine
from protocol.messages.telemetry import Telemetry

_TELEMETRY_POLL_MS = 100
_MONITOR_EVENT = Struct("=hi")


class TelemetryLine:
    """A bound PAIR socket at `address`. `quiet_polls`: how many polls in a row received nothing."""

    def __init__(self, machine: Machine) -> None:
        self._open = ExitStack()
        self._socket, self.address = self._open.enter_context(machine.line())
        # The monitor reports every TCP connection that ends, also those of others that try the port. Only that of the
        # channel server matters: its file descriptor is known from the first frame that came over it.
        self._monitor = self._socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
        self._descriptor: int | None = None
        self._broken = False
        self.quiet_polls = 0
        self._decoder: msgspec.msgpack.Decoder[Telemetry] = msgspec.msgpack.Decoder(Telemetry)

    def receive(self) -> Telemetry | None:
        """The next telemetry, or None if none came within a tenth of a second."""
        if not self._socket.poll(_TELEMETRY_POLL_MS):
            self.quiet_polls += 1
            return None
        self.quiet_polls = 0
        frame = self._socket.recv(copy=False)
        if self._descriptor is None:
            self.is_broken()  # discard the ends of connections from before: their descriptors may be used again
            self._descriptor = int(frame.get(zmq.SRCFD))
        return self._decoder.decode(bytes(frame.buffer))

    def send(self, *frames: bytes) -> bool:
        """Send a request to the channel server; False while none is connected."""
        try:
            self._socket.send_multipart(frames, zmq.NOBLOCK)
        except zmq.Again:
            return False
        return True

    def is_broken(self) -> bool:
        """Whether the connection of the channel server has ended."""
        while self._monitor.poll(0):
            event, _address = self._monitor.recv_multipart()
            # As recv_monitor_message of zmq.utils.monitor, which would import asyncio: a 16-bit event, a 32-bit value.
            _, descriptor = _MONITOR_EVENT.unpack(event)
            self._broken |= descriptor == self._descriptor
        return self._broken

    def close(self) -> None:
        """Close the sockets."""
        self._socket.disable_monitor()
        self._monitor.close()
        self._open.close()
