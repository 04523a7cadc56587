"""The pool's line: the service's end of it, where workers say that they are there and are told whose they are."""

import logging
import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import zmq

from controller.config.errors import ConfigError, invalid
from controller.config.hosts import is_loopback
from controller.pool.leased_workers import Ports
from controller.pool.registry import Demand, Pool, Worker
from controller.pool.rejected import RejectedConnections
from protocol.messages.codec import BadFrame
from protocol.messages.pool import MAX_FRAME_BYTES, ForeignVersion, Refusal, decode_for_service, encode
from protocol.transports.keys import Keys, KeysError, ServerKeys
from protocol.transports.router import Router

_LOG = logging.getLogger("airtoll")
_MAX_FRAMES = 10_000  # at a time


class Seen(NamedTuple):
    """A worker, and when it was heard last."""

    worker: Worker
    at: datetime


class PoolLine:
    """Listens at `endpoint`, tcp://HOST:PORT. Run processes listen at the same host, at `run_process_ports` (FIRST-LAST) or any.

    `keys`: the folder of what both are locked with. ConfigError when it cannot be listened on, not with these keys, or
    elsewhere than on this machine's loopback without any.
    """

    def __init__(self, endpoint: str, run_process_ports: str = "*", keys: Path | None = None) -> None:
        self.ports = _ports(endpoint, run_process_ports)
        if keys is None and not is_loopback(self.ports.host):
            cure = (
                "without keys only this machine's workers may come: give --keys DIR, or listen at tcp://127.0.0.1:8771"
            )
            raise ConfigError(invalid("--pool", endpoint, cure))
        self.keys, locked = keys, _server_keys(keys)
        self.strangers = RejectedConnections(_LOG.warning)
        self._context = zmq.Context()
        try:
            self._router = Router(self._context, endpoint, keys=locked, max_bytes=MAX_FRAME_BYTES)
        except zmq.ZMQError as error:
            self._context.term()
            raise ConfigError(f"--pool: {endpoint} cannot be listened on: {error}; give another address") from error
        self.endpoint = self._router.endpoint
        self.pool = Pool(time.monotonic())

    @property
    def settled(self) -> bool:
        """Whether the workers that were there before this service have had time to say so."""
        return self.pool.settled(time.monotonic())

    @property
    def room(self) -> object:
        """What is idle: another value when a run may find room that found none before."""
        return self.settled, self.pool.idle

    @property
    def seen(self) -> list[Seen]:
        """The workers, and when each was heard last."""
        now, told_at = datetime.now(UTC), time.monotonic()
        return [Seen(worker, now - timedelta(seconds=told_at - worker.seen_at)) for worker in self.pool.workers]

    def look(self) -> None:
        """Hear all that has come, and see who is gone."""
        for _, (peer, frame) in zip(range(_MAX_FRAMES), self._router.pending(), strict=False):
            if isinstance(frame, bytes):
                self._take(peer, frame)
        for peer in self._router.broken():
            self.pool.gone(peer)
        self.strangers.rejected(self._router.rejected())
        self.pool.look(time.monotonic())

    def lease(self, at_work: Iterable[Demand]) -> None:
        """Give idle places to the runs that lack some."""
        for peer, lease in self.pool.lease(at_work, time.monotonic()):
            self._router.send(peer, encode(lease))

    def _take(self, peer: bytes, frame: bytes) -> None:
        try:
            refusal = self.pool.present(peer, decode_for_service(frame), time.monotonic())
        except ForeignVersion as foreign:
            refusal = str(foreign)
        except BadFrame:
            return
        if refusal:
            self._router.send(peer, encode(Refusal(refusal)))

    def close(self) -> None:
        """Workers look for the next service."""
        self._router.close()
        self._context.term()


def _server_keys(folder: Path | None) -> ServerKeys | None:
    try:
        return None if folder is None else Keys.read(folder).server()
    except KeysError as error:
        raise ConfigError(f"--keys: {error}") from error


def _ports(endpoint: str, run_process_ports: str) -> Ports:
    host, port = urlsplit(endpoint).netloc.rpartition(":")[::2]
    if not endpoint.startswith("tcp://") or not host or not (port.isdigit() or port == "*"):
        raise ConfigError(invalid("--pool", endpoint, "write it as tcp://127.0.0.1:8771"))
    try:
        return Ports.parse(f"{host}:{run_process_ports}")
    except ValueError as error:
        raise ConfigError(invalid("--run-process-ports", run_process_ports, "write them as 8772-8799")) from error
