"""The service's end of the pool: receives workers' heartbeats and leases workers to runs."""

import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import zmq

from controller.config.errors import ConfigError, invalid
from controller.pool.leased_workers import Ports
from controller.pool.registry import MAX_WORKERS, Demand, RegisteredWorker, WorkerRegistry
from controller.pool.rejected import ANOTHER_NAME, RejectedConnections
from protocol.messages.codec import BadFrame
from protocol.messages.pool import MAX_POOL_FRAME_BYTES, ForeignVersion, Refusal, decode_for_service, encode
from protocol.transports.keys import Keys, KeysError, ServerKeys
from protocol.transports.loopback import is_loopback
from protocol.transports.router import Router
from protocol.transports.running_time import RunningTime

_LOG = logging.getLogger("airtoll")
_MAX_CONNECTIONS = MAX_WORKERS + 1000  # besides the workers', those of unknown peers
_MAX_FRAMES_PER_POLL = 10_000  # a flood of frames must not keep the service from its other work


class SeenWorker(NamedTuple):
    """A worker and the time of its last heartbeat."""

    worker: RegisteredWorker
    last_seen: datetime


class PoolListener:
    """Listens at `endpoint`, tcp://HOST:PORT. Run processes listen at the same host, at `run_process_ports`
    (FIRST-LAST) or at any free port.

    `keys`: the folder of keys that encrypt both. `other_files`: that this process may have open besides the pool's
    connections, of which it accepts no more than its limit on open files allows. ConfigError for an endpoint that is
    taken, for unusable keys, and for an endpoint beyond this machine's loopback interface without keys.
    """

    def __init__(
        self,
        endpoint: str,
        run_process_ports: str = "*",
        keys: Path | None = None,
        *,
        other_files: int = 1024,
        clock: RunningTime | None = None,
    ) -> None:
        self.ports = _ports(endpoint, run_process_ports)
        if keys is None and not is_loopback(self.ports.host):
            fix = "without keys only workers of this machine may connect: give --keys DIR, or tcp://127.0.0.1:8771"
            raise ConfigError(invalid("--pool", endpoint, fix))
        self.keys, server_keys = keys, _server_keys(keys)
        self.rejected = RejectedConnections(_LOG.warning)
        self._context = zmq.Context()
        try:
            self._router = Router(
                self._context,
                endpoint,
                keys=server_keys,
                max_bytes=MAX_POOL_FRAME_BYTES,
                max_connections=_MAX_CONNECTIONS,
                other_files=other_files,
            )
        except zmq.ZMQError as error:
            self._context.term()
            raise ConfigError(f"--pool: {endpoint} cannot be listened on: {error}; give another address") from error
        if self._router.max_connections < _MAX_CONNECTIONS:
            limit, fix = self._router.max_connections, "raise the hard limit on open files (ulimit -Hn) for more"
            _LOG.warning("the pool accepts %d connections at most: %s", limit, fix)
        self.endpoint = self._router.endpoint
        self._time = clock or RunningTime()
        self._now = self._time.now()  # read in `poll` alone: requests are answered in other threads
        self.registry = WorkerRegistry(self._now)
        self._last_seen: dict[str, datetime] = {}  # by the wall clock, which also runs while this process does not

    @property
    def settled(self) -> bool:
        """Whether workers that were leased before the service started have had time to report."""
        return self.registry.settled(self._now)

    @property
    def capacity_state(self) -> object:
        """A value that changes when a waiting run may find capacity that was missing before."""
        return self.settled, self.registry.idle(self._now)

    @property
    def workers(self) -> list[SeenWorker]:
        """The workers, each with the time of its last heartbeat."""
        last_seen = self._last_seen  # replaced by `poll` in another thread
        registered = [(worker, last_seen.get(worker.state.worker)) for worker in self.registry.workers]
        return [SeenWorker(worker, at) for worker, at in registered if at is not None]

    def poll(self) -> None:
        """Receive the heartbeats that have arrived, and remove the workers that are gone."""
        self._now = self._time.now()
        for _, (peer, frame) in zip(range(_MAX_FRAMES_PER_POLL), self._router.pending(), strict=False):
            if isinstance(frame, bytes):
                self._receive(peer, frame)
        for peer in self._router.broken():
            self.registry.gone(peer)
        self.rejected.add(self._router.rejected())
        self.registry.expire(self._now)
        ids = [worker.state.worker for worker in self.registry.workers]
        self._last_seen = {worker: self._last_seen[worker] for worker in ids}

    def shortage(self, demand: Demand, ahead: Iterable[Demand]) -> str:
        """What a run still lacks once the runs ahead of it have what they need; "" for nothing."""
        return self.registry.shortage(demand, self._now, ahead)

    def lease(self, demands: Iterable[Demand]) -> None:
        """Lease idle capacity to the runs that lack some."""
        for peer, lease in self.registry.lease(demands, self._now):
            self._router.send(peer, encode(lease))

    def close(self) -> None:
        """Stop listening; workers keep their leases and wait for the next service."""
        self._router.close()
        self._context.term()

    def _receive(self, peer: bytes, frame: bytes) -> None:
        try:
            heartbeat = decode_for_service(frame)
            key = self._router.key_of(peer)
            if key and (refusal := key.refusal(worker=heartbeat.name)):
                self.rejected.add([(ANOTHER_NAME, key.prefix)])
            else:
                refusal = self.registry.receive(peer, heartbeat, self._now)
                self._last_seen[heartbeat.worker] = datetime.now(UTC)
        except ForeignVersion as foreign:
            refusal = str(foreign)
        except BadFrame:
            return
        if refusal:
            self._router.send(peer, encode(Refusal(refusal)))


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
