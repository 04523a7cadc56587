"""A worker of the pool: it leases its capacity to runs, and runs processes for them.

It imports no more than a node does.
"""

import os
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_hex
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import zmq

from controller.execution.local_machine import LocalMachine
from controller.pool.worker_lease import ChannelAddress, WorkerLease
from protocol.determinism.fingerprint import fingerprint
from protocol.messages.codec import BadFrame
from protocol.messages.node import PROTOCOL_VERSION
from protocol.messages.pool import (
    HEARTBEAT_INTERVAL_S,
    MAX_POOL_FRAME_BYTES,
    Attach,
    Heartbeat,
    Lease,
    Refusal,
    Role,
    decode_from_service,
    encode,
)
from protocol.transports.dealer import ReconnectingDealer
from protocol.transports.keys import ClientKeys
from protocol.transports.running_time import RunningTime

_POLL_MS = 100


@dataclass(frozen=True)
class Offer:
    """What a worker offers. `capacity`: processes at a time.

    `port`: of its channel server, 0 for any free port; `address`: the host by which nodes reach it, "" for this
    machine's address on the way to the pool.
    """

    role: Role
    name: str
    capacity: int = 1
    port: int = 0
    address: str = ""


class Worker:
    """Use as a context manager: on exit it ends all processes that it has started.

    `pool`: where the service listens, tcp://HOST:PORT; ValueError for anything else. `keys` encrypt all connections;
    None if the service has none. `refused`: why the service rejected this worker; "" while it has not.
    """

    def __init__(self, offer: Offer, pool: str, keys: ClientKeys | None = None) -> None:
        self._offer = offer
        self._pool = pool
        self._host, self._port = _parse(pool)
        self._id = token_hex(8)
        self._machine = LocalMachine()
        self._context = zmq.Context()
        self._keys = keys
        self._service = ReconnectingDealer(self._context, pool, keys=keys, max_bytes=MAX_POOL_FRAME_BYTES)
        self._poller = zmq.Poller()
        self._poller.register(self._service.socket, zmq.POLLIN)
        self._leases: dict[str, WorkerLease] = {}
        self._sent: Heartbeat | None = None
        self._sent_at = 0.0
        self._time = RunningTime()
        self._connected = False
        self.refused = ""

    def serve(self, stop: Callable[[], bool]) -> None:
        """Work until `stop` returns true or the service rejects this worker."""
        _log(f"{self._offer.role} {self._offer.name} connects to the pool at {self._pool}")
        while not stop() and not self.refused:
            self._poller.poll(_POLL_MS)
            self._poll_service()
            for name, lease in list(self._leases.items()):
                lease.poll(self._time.now())
                if lease.over:
                    self._end_lease(name)
            self._send_heartbeat()

    def _poll_service(self) -> None:
        monitor = self._service.monitor
        monitor.poll()
        self.refused = self.refused or self._service.rejection
        if monitor.connected != self._connected:
            self._connected = monitor.connected
            self._sent = None  # a service that has just started needs the whole state at once
            _log(f"{'connected to' if self._connected else 'waiting for'} the pool at {self._pool}")
        for frame in self._service.pending():
            try:
                message = decode_from_service(frame)
            except BadFrame as bad:
                _log(f"the pool sent an invalid frame: {bad}")
                continue
            match message:
                case Refusal(reason):
                    self.refused = reason
                case Lease():
                    self._begin_lease(message)

    def _begin_lease(self, message: Lease) -> None:
        if message.lease in self._leases or len(self._leases) >= self._offer.capacity:
            return  # the next heartbeat shows the service that the lease was not taken
        offer = self._offer
        attach = Attach(PROTOCOL_VERSION, message.lease, offer.role, offer.name, socket.gethostname(), fingerprint())
        lease = WorkerLease(
            self._context,
            self._host,
            message,
            attach,
            self._machine,
            self._channel_address,
            self._keys,
            self._poller,
            now=self._time.now(),
        )
        self._leases[message.lease] = lease
        _log(f"leased to {message.run_id}")

    def _end_lease(self, name: str) -> None:
        lease = self._leases.pop(name)
        lease.end()
        _log(f"the lease to {lease.assignment.run_id} has ended: {lease.over}")

    def _send_heartbeat(self) -> None:
        """Send the whole state when it has changed or a second has passed."""
        offer, now = self._offer, self._time.now()
        heartbeat = Heartbeat(
            PROTOCOL_VERSION,
            self._id,
            offer.role,
            offer.name,
            socket.gethostname(),
            os.getpid(),
            offer.capacity,
            fingerprint(),
            {name: lease.assignment for name, lease in self._leases.items()},
        )
        due = heartbeat != self._sent or now - self._sent_at >= HEARTBEAT_INTERVAL_S
        if due and self._service.send(encode(heartbeat)):
            self._sent, self._sent_at = heartbeat, now

    def _channel_address(self) -> ChannelAddress:
        port = self._offer.port or "*"
        if self._offer.address:
            return ChannelAddress(f"tcp://0.0.0.0:{port}", self._offer.address)
        # Connecting a UDP socket sends nothing, and selects this machine's address on the way to the pool.
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect((self._host, self._port))
            return ChannelAddress(f"tcp://{probe.getsockname()[0]}:{port}", "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for lease in self._leases.values():
            lease.end()
        self._service.close()
        self._context.term()


def _parse(pool: str) -> tuple[str, int]:
    parts = urlsplit(pool)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme != "tcp" or not host or not port or parts.path:
        raise ValueError(f"{pool!r} is not the address of a pool; write it as tcp://HOST:8771")
    return host, port


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
