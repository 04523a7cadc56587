"""The processes of a run at leased workers: the run process's end of their lines. The trainer stays with the keeper."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import NamedTuple, Self, TypeVar

import msgspec
import zmq

from channel_server.core import Past
from controller.config.errors import ConfigError
from controller.execution.local_machine import LocalMachine, pair
from controller.execution.machine import Process
from controller.pool.rejected import RejectedConnections
from controller.pool.roster import ProcessRequest, Roster, Sends
from protocol.determinism.snapshots import parts
from protocol.messages.codec import BadFrame
from protocol.messages.kinds import TRAINER_NAME
from protocol.messages.plan import RunPlan
from protocol.messages.pool import (
    MAX_FRAME_BYTES,
    ForeignVersion,
    FromRunProcess,
    Refusal,
    Release,
    Role,
    StartChannel,
    StartNode,
    StateChunk,
    decode_for_run_process,
    encode,
)
from protocol.transports.curve import lock_server
from protocol.transports.keys import Keys, ServerKeys
from protocol.transports.router import Router

_POLL_S = 0.05
_Bound = TypeVar("_Bound")


class Ports(NamedTuple):
    """Where a run process listens: an interface's address, and its ports from first to last, any if they are 0."""

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
            raise ValueError(f"{ports} are no ports; write them as 8772-8799")
        return found

    def __str__(self) -> str:
        return f"{self.host}:{self.first}-{self.last}" if self.first else f"{self.host}:*"

    @property
    def endpoints(self) -> Iterator[str]:
        """What may be tried, in order."""
        ports: Iterable[object] = range(self.first, self.last + 1) if self.first else "*"
        return (f"tcp://{self.host}:{port}" for port in ports)


class LeasedProcess:
    """A process at a worker; it waits until one has come."""

    pid = None  # it is another machine's

    def __init__(self, workers: "LeasedWorkers", wanted: ProcessRequest) -> None:
        self._workers = workers
        self._wanted = wanted

    @property
    def exitcode(self) -> int | None:
        self._workers.attend()
        return self._wanted.exitcode

    @property
    def cause(self) -> str:
        return self._wanted.cause

    @property
    def waits(self) -> bool:
        return self._workers.roster.waits(self._wanted)

    @property
    def taken_away(self) -> bool:
        return self._wanted.taken_away

    def kill(self) -> None:
        self._workers.send(self._workers.roster.kill(self._wanted))

    def join(self, timeout: float | None = None) -> None:
        until = None if timeout is None else time.monotonic() + timeout
        while self.exitcode is None and not self.waits and (until is None or time.monotonic() < until):
            self._workers.attend(within_s=_POLL_S)

    def close(self) -> None:
        """The place is free for another as soon as it has ended."""


class LeasedWorkers:
    """The workers that are leased to one run; use as a context manager, which sends them back.

    They come to `port`; `needs` says how many places of each role are taken. `keys`: what all lines are locked with,
    and who may come; none on a network of one's own. ConfigError when no port is free.
    """

    has_other_places = True

    def __init__(self, ports: Ports, needs: Mapping[Role, int], keys: Keys | None = None) -> None:
        self.needs = needs
        self.roster = Roster(needs)
        self._ports = ports
        self._keys = None if keys is None else keys.server()
        self._here = LocalMachine(None if keys is None else keys.client())
        self._context = zmq.Context()
        try:
            self._router = _listening(self._context, ports, self._keys)
        except BaseException:
            self._context.term()
            raise
        self._strangers = RejectedConnections(partial(print, file=sys.stderr, flush=True))
        self._attended_at = 0.0
        self.port = int(self._router.endpoint.rpartition(":")[2])

    @contextmanager
    def line(self) -> "Iterator[tuple[zmq.Socket[bytes], int]]":
        """A port that workers reach."""
        with pair(self._context) as socket:
            if self._keys is not None:
                lock_server(socket, self._keys)
            _first_free(self._ports, socket.bind)
            yield socket, int(socket.getsockopt_string(zmq.LAST_ENDPOINT).rpartition(":")[2])

    def start_channel(self, plan: RunPlan, port: int, past: Past | None) -> LeasedProcess:
        """The channel server, at a worker that has the role."""

        def begin() -> Iterator[FromRunProcess]:
            if past is not None:
                yield from (StateChunk(data, more) for data, more in parts(msgspec.msgpack.encode(past)))
            yield StartChannel(plan, port, sorted(key.decode() for key in self._keys.allowed) if self._keys else [])

        return self._want(ProcessRequest("channel", begin))

    def start_node(self, name: str, endpoint: str, run_id: str, key: str = "") -> Process:
        """One node, at a worker; the trainer here."""
        if name == TRAINER_NAME:
            return self._here.start_node(name, endpoint, run_id, key)
        return self._want(ProcessRequest("agent", lambda: [StartNode(endpoint, run_id, name, key)]))

    def attend(self, within_s: float = 0.0) -> None:
        """Hear what has come, or comes first within this time, and who is gone; not more often than makes sense."""
        now = time.monotonic()
        if not within_s and now - self._attended_at < _POLL_S:
            return
        self._attended_at = now
        received = self._router.receive_within(within_s)
        while received is not None:
            self._take(*received)
            received = self._router.receive_within(0)
        for peer in self._router.broken():
            self.roster.gone(peer, "its connection broke")
        self._strangers.rejected(self._router.rejected())
        self.send(self.roster.look(time.monotonic()))

    def send(self, sends: Sends) -> None:
        """Tell workers."""
        for peer, message in sends:
            self._router.send(peer, encode(message))

    def _want(self, wanted: ProcessRequest) -> LeasedProcess:
        self.send(self.roster.want(wanted))
        return LeasedProcess(self, wanted)

    def _take(self, peer: bytes, frame: bytes | list[int]) -> None:
        if isinstance(frame, list) or len(frame) > MAX_FRAME_BYTES:
            return
        try:
            self.send(self.roster.hear(peer, decode_for_run_process(frame), time.monotonic()))
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


def _listening(context: "zmq.Context[zmq.Socket[bytes]]", ports: Ports, keys: ServerKeys | None) -> Router:
    return _first_free(ports, lambda endpoint: Router(context, endpoint, keys=keys, max_bytes=MAX_FRAME_BYTES))


def _first_free(ports: Ports, bind: Callable[[str], _Bound]) -> _Bound:
    """What binding to the first port that is free gives."""
    for endpoint in ports.endpoints:
        try:
            return bind(endpoint)
        except zmq.ZMQError as error:
            if error.errno != zmq.EADDRINUSE:
                raise ConfigError(f"--pool: {endpoint} cannot be listened on: {error}; give another address") from error
    raise ConfigError(f"--run-process-ports: all of {ports} are taken, and a run on the pool needs two; give more")
