"""A worker of the pool: idle until its places are leased to runs, idle again after. It loads no more than nodes do."""

import os
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from secrets import token_hex
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import zmq

from controller.execution.local_machine import LocalMachine
from controller.pool.worker_lease import Air, WorkerLease
from protocol.determinism.fingerprint import fingerprint
from protocol.messages.codec import BadFrame
from protocol.messages.node import PROTOCOL_VERSION
from protocol.messages.pool import (
    MAX_FRAME_BYTES,
    SIGN_OF_LIFE_S,
    Attach,
    Heartbeat,
    Lease,
    Refusal,
    Role,
    decode_from_service,
    encode,
)
from protocol.transports.keys import ClientKeys
from protocol.transports.line import Line

_POLL_MS = 100


@dataclass(frozen=True)
class Offer:
    """What a worker is. `port`: of its channel server, 0 for any; `address`: the host by which others reach it, ""
    for the one that it has on the way to the pool."""

    role: Role
    name: str
    capacity: int = 1
    port: int = 0
    address: str = ""


class Worker:
    """Use as a context manager: on leaving, no process of its is left.

    `pool`: where the service listens, tcp://HOST:PORT; ValueError for anything else. `keys`: what all connections are
    locked with, if the service has keys.
    """

    def __init__(self, offer: Offer, pool: str, keys: ClientKeys | None = None) -> None:
        self._offer = offer
        self._pool = pool
        self._host, self._port = _parsed(pool)
        self._id = token_hex(8)
        self._machine = LocalMachine()
        self._context = zmq.Context()
        self._keys = keys
        self._line = Line(self._context, pool, keys=keys, max_bytes=MAX_FRAME_BYTES)
        self._poller = zmq.Poller()
        self._poller.register(self._line.socket, zmq.POLLIN)
        self._places: dict[str, WorkerLease] = {}
        self._told: Heartbeat | None = None
        self._told_at = 0.0
        self._connected = False
        self.refused = ""  # why the service does not take it

    def serve(self, stop: Callable[[], bool]) -> None:
        """Until it is to stop, or is refused."""
        _log(f"{self._offer.role} {self._offer.name} looks for the pool at {self._pool}")
        while not stop() and not self.refused:
            self._poller.poll(_POLL_MS)
            self._hear()
            for lease, place in list(self._places.items()):
                place.attend(time.monotonic())
                if place.over:
                    self._free(lease)
            self._tell()

    def _hear(self) -> None:
        self._line.look()
        self.refused = self.refused or self._line.refused
        if self._line.connected != self._connected:
            self._connected = self._line.connected
            self._told = None
            _log(f"{'connected to' if self._connected else 'waiting for'} the pool at {self._pool}")
        for frame in self._line.heard():
            try:
                message = decode_from_service(frame)
            except BadFrame as bad:
                _log(f"the pool said what is not understood: {bad}")
                continue
            match message:
                case Refusal(reason):
                    self.refused = reason
                case Lease():
                    self._lease(message)

    def _lease(self, lease: Lease) -> None:
        if lease.lease in self._places or len(self._places) >= self._offer.capacity:
            return  # the next Present says so
        offer = self._offer
        come = Attach(PROTOCOL_VERSION, lease.lease, offer.role, offer.name, socket.gethostname(), fingerprint())
        place = WorkerLease(
            self._context, self._host, lease, come, self._machine, self._air, self._keys, now=time.monotonic()
        )
        self._places[lease.lease] = place
        self._poller.register(place.socket, zmq.POLLIN)
        _log(f"leased to {lease.run_id}")

    def _free(self, lease: str) -> None:
        place = self._places.pop(lease)
        self._poller.unregister(place.socket)
        place.end()
        _log(f"free again from {place.held.run_id}: {place.over}")

    def _tell(self) -> None:
        """The whole state, when it has changed or a second has passed."""
        offer, now = self._offer, time.monotonic()
        present = Heartbeat(
            PROTOCOL_VERSION,
            self._id,
            offer.role,
            offer.name,
            socket.gethostname(),
            os.getpid(),
            offer.capacity,
            fingerprint(),
            {lease: place.held for lease, place in self._places.items()},
        )
        if (present != self._told or now - self._told_at >= SIGN_OF_LIFE_S) and self._line.say(encode(present)):
            self._told, self._told_at = present, now

    def _air(self) -> Air:
        port = self._offer.port or "*"
        if self._offer.address:
            return Air(f"tcp://0.0.0.0:{port}", self._offer.address)
        return Air(f"tcp://{_own_address(self._host, self._port)}:{port}", "")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for place in self._places.values():
            place.end()
        self._line.close()
        self._context.term()


def _parsed(pool: str) -> tuple[str, int]:
    parts = urlsplit(pool)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if parts.scheme != "tcp" or not host or not port or parts.path:
        raise ValueError(f"{pool!r} is not where a pool listens; write it as tcp://HOST:8771")
    return host, port


def _own_address(host: str, port: int) -> str:
    """The address of this machine on the way to a host; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, port))
        return str(probe.getsockname()[0])


def _log(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
