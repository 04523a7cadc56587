"""Runs a run's processes at leased workers: the run process's end of their connections. The trainer runs locally."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

import msgspec
import zmq

from channel_server.core import Past
from controller.config.errors import ConfigError
from controller.execution.local_machine import LocalMachine, locked_line
from controller.execution.machine import LineAddress, Process
from controller.pool.rejected import ANOTHER_NAME, RejectedConnections
from controller.pool.roster import ProcessRequest, Roster, Sends
from protocol.determinism.snapshots import parts
from protocol.messages.codec import BadFrame
from protocol.messages.kinds import TRAINER_NAME
from protocol.messages.plan import RunPlan
from protocol.messages.pool import (
    MAX_POOL_FRAME_BYTES,
    Attach,
    ForeignVersion,
    FromRunProcess,
    Line,
    Refusal,
    Release,
    Role,
    StartChannel,
    StartNode,
    StateChunk,
    decode_for_run_process,
    encode,
)
from protocol.transports.keys import Keys, ServerKeys
from protocol.transports.router import Router
from protocol.transports.running_time import RunningTime

_POLL_INTERVAL_S = 0.05
_SPARE_CONNECTIONS = 1000  # besides the workers': of workers that replace others, and of unknown peers
_Bound = TypeVar("_Bound")


class Ports(NamedTuple):
    """Where a run process listens: an interface's address, and its ports from first to last, any if both are 0."""

    host: str = "127.0.0.1"
    first: int = 0
    last: int = 0

    @classmethod
    def parse(cls, text: str) -> "Ports":
        """From `HOST:FIRST-LAST` or `HOST:*`. ValueError for anything else."""
        host, _, ports = text.rpartition(":")
        if ports == "*":
            return cls(host)
        first, _, last = ports.partition("-")
        found = cls(host, int(first), int(last or first))
        if not 1 <= found.first <= found.last <= 65535:
            raise ValueError(f"{ports} is not a range of ports; write it as 8772-8799")
        return found

    def __str__(self) -> str:
        return f"{self.host}:{self.first}-{self.last}" if self.first else f"{self.host}:*"

    @property
    def endpoints(self) -> Iterator[str]:
        """The endpoints to try, in order."""
        ports: Iterable[object] = range(self.first, self.last + 1) if self.first else "*"
        return (f"tcp://{self.host}:{port}" for port in ports)


class LeasedProcess:
    """A process at a worker: pending until a worker has attached."""

    pid = None  # the process may be on another machine

    def __init__(self, workers: "LeasedWorkers", request: ProcessRequest) -> None:
        self._workers = workers
        self._request = request

    @property
    def exitcode(self) -> int | None:
        self._workers.poll()
        return self._request.exitcode

    @property
    def cause(self) -> str:
        return self._request.cause

    @property
    def pending(self) -> bool:
        return self._workers.roster.is_pending(self._request)

    @property
    def worker_lost(self) -> bool:
        return self._request.worker_lost

    @property
    def worker_away(self) -> bool:
        return self._workers.roster.is_away(self._request)

    def kill(self) -> None:
        self._workers.send(self._workers.roster.kill(self._request))

    def join(self, timeout: float | None = None) -> None:
        until = None if timeout is None else time.monotonic() + timeout
        while self.exitcode is None and not self.pending and (until is None or time.monotonic() < until):
            self._workers.poll(within_s=_POLL_INTERVAL_S)

    def close(self) -> None:
        """Nothing to release: its worker is free as soon as it has ended."""


class LeasedWorkers:
    """The workers that are leased to one run; use as a context manager, which releases them.

    They connect to `port`. `needs`: how many processes of each role the run has. `keys`: encrypt all connections and
    list the workers that may connect; None on a private network. ConfigError when no port is free.
    """

    can_reschedule = True

    def __init__(self, ports: Ports, needs: Mapping[Role, int], keys: Keys | None = None) -> None:
        self.needs = needs
        self.roster = Roster(needs)
        self._ports = ports
        self._keys = None if keys is None else keys.server()
        self._local = LocalMachine(None if keys is None else keys.client())
        self._context = zmq.Context()
        try:
            self._router = _listening(self._context, ports, self._keys, sum(needs.values()))
        except BaseException:
            self._context.term()
            raise
        self._rejected = RejectedConnections(partial(print, file=sys.stderr, flush=True))
        self._time = RunningTime()
        self._polled_at = 0.0
        self.port = int(self._router.endpoint.rpartition(":")[2])

    def line(self) -> "AbstractContextManager[tuple[zmq.Socket[bytes], LineAddress]]":
        """A PAIR socket on a port that workers can reach, and its address."""
        return locked_line(lambda socket: _first_free(self._ports, socket.bind))

    def start_channel(self, plan: RunPlan, line: LineAddress, past: Past | None) -> LeasedProcess:
        """Start the channel server at a worker with that role, from `past` if it is given."""

        def start_messages() -> Iterator[FromRunProcess]:
            if past is not None:
                yield from (StateChunk(data, more) for data, more in parts(msgspec.msgpack.encode(past)))
            keys = (key.decode() for key in (line.keys.server, line.keys.public, line.keys.secret))
            allowed = self._keys.allowed.values() if self._keys else ()
            yield StartChannel(plan, Line(line.port, *keys), {key.key.decode(): key.node for key in allowed})

        return self._start(ProcessRequest("channel", start_messages))

    def start_node(self, name: str, endpoint: str, run_id: str, key: str = "") -> Process:
        """Start one node at a worker; the trainer on this machine."""
        if name == TRAINER_NAME:
            return self._local.start_node(name, endpoint, run_id, key)
        return self._start(ProcessRequest("agent", lambda: [StartNode(endpoint, run_id, name, key)]))

    def poll(self, within_s: float = 0.0) -> None:
        """Receive the messages that have arrived, or wait this long for the first; drop the workers that are gone.

        Without a time, calls in quick succession do nothing.
        """
        now = self._time.now()
        if not within_s and now - self._polled_at < _POLL_INTERVAL_S:
            return
        self._polled_at = now
        received = self._router.receive_within(within_s)
        while received is not None:
            self._receive(*received)
            received = self._router.receive_within(0)
        for peer in self._router.broken():
            self.roster.broken(peer, self._time.now())
        self._rejected.add(self._router.rejected())
        self.send(self.roster.expire(self._time.now()))

    def send(self, sends: Sends) -> None:
        """Send messages to workers."""
        for peer, message in sends:
            self._router.send(peer, encode(message))

    def _start(self, request: ProcessRequest) -> LeasedProcess:
        self.send(self.roster.request(request))
        return LeasedProcess(self, request)

    def _receive(self, peer: bytes, frame: bytes | list[int]) -> None:
        if isinstance(frame, list) or len(frame) > MAX_POOL_FRAME_BYTES:
            return
        try:
            message = decode_for_run_process(frame)
            key = self._router.key_of(peer)
            if key and isinstance(message, Attach) and (refusal := key.refusal(worker=message.name)):
                self._rejected.add([(ANOTHER_NAME, key.prefix)])
                self.send([(peer, Refusal(refusal))])
            else:
                self.send(self.roster.receive(peer, message, self._time.now()))
        except ForeignVersion as foreign:
            self.send([(peer, Refusal(str(foreign)))])
        except BadFrame:
            return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.send([(peer, Release()) for peer in self.roster.peers])
        self._router.close()
        self._context.term()


def _listening(
    context: "zmq.Context[zmq.Socket[bytes]]", ports: Ports, keys: ServerKeys | None, workers: int
) -> Router:
    limits = {"max_connections": workers + _SPARE_CONNECTIONS, "expected": workers}
    return _first_free(
        ports, lambda endpoint: Router(context, endpoint, keys=keys, max_bytes=MAX_POOL_FRAME_BYTES, **limits)
    )


def _first_free(ports: Ports, bind: Callable[[str], _Bound]) -> _Bound:
    """The result of binding to the first port that is free."""
    for endpoint in ports.endpoints:
        try:
            return bind(endpoint)
        except zmq.ZMQError as error:
            if error.errno != zmq.EADDRINUSE:
                raise ConfigError(f"--pool: {endpoint} cannot be listened on: {error}; give another address") from error
    raise ConfigError(
        f"--run-process-ports: all of {ports} are taken, and a run in the pool needs two; give more ports"
    )
