"""The launcher's line to its channel server, and others who try its port."""

import socket
import time
from contextlib import ExitStack

import msgspec
import zmq

from controller.execution.local_machine import LocalMachine
from controller.execution.telemetry_line import TelemetryLine
from protocol.messages.telemetry import Progress
from protocol.transports.curve import lock_client
from protocol.transports.keys import ClientKeys


def test_the_channel_server_gets_the_line_although_others_were_first() -> None:
    with ExitStack() as stack:
        line = TelemetryLine(LocalMachine())
        stack.callback(line.close)
        context = stack.enter_context(zmq.Context())
        endpoint = f"tcp://127.0.0.1:{line.address.port}"
        plain = stack.enter_context(socket.create_connection(("127.0.0.1", line.address.port)))
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
        public, secret = zmq.curve_keypair()
        for keys in (None, ClientKeys(secret, public, line.address.keys.server)):
            intruder = _pair(stack, context, keys)
            rejected = intruder.get_monitor_socket(zmq.EVENT_DISCONNECTED)
            intruder.connect(endpoint)
            assert rejected.poll(60_000)
            intruder.disable_monitor()
            rejected.close()
        channel_server = _pair(stack, context, line.address.keys)
        channel_server.connect(endpoint)
        channel_server.send(msgspec.msgpack.encode(Progress(7)))
        deadline = time.monotonic() + 60
        while (telemetry := line.receive()) is None:
            assert time.monotonic() < deadline
        assert telemetry == Progress(7)
        assert line.send(b"pause")
        assert channel_server.recv() == b"pause"
        assert not line.is_broken()


def _pair(stack: ExitStack, context: zmq.Context[zmq.Socket[bytes]], keys: ClientKeys | None) -> zmq.Socket[bytes]:
    client = stack.enter_context(context.socket(zmq.PAIR))
    client.setsockopt(zmq.LINGER, 0)
    if keys is not None:
        lock_client(client, keys)
    return client
