"""Which leased worker runs which process, as a run process sees it. No sockets, no clock: events in, messages out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from controller.execution.local_machine import cause
from controller.pool.timeouts import LEASED_WORKER_RECONNECT_TIMEOUT_S, LEASED_WORKER_TIMEOUT_S
from protocol.messages.pool import Alive, Attach, FromRunProcess, Kill, Release, Role, ToRunProcess

_WORKER_GONE = 1  # exit code of a process whose worker is gone
_BROKEN = "its connection broke"
_NEVER_STARTED = "killed before it was started"

Sends = Iterable[tuple[bytes, FromRunProcess]]


class ProcessRequest:
    """A process to run at a worker. `start_messages`: the messages that start it; `peer`: the worker that runs it, None
    while it is pending and after its end. `worker_lost`: it ended because its worker, or its worker's line, is gone.
    `killed`: it is to end.
    """

    def __init__(self, role: Role, start_messages: Callable[[], Iterable[FromRunProcess]]) -> None:
        self.role = role
        self.start_messages = start_messages
        self.peer: bytes | None = None
        self.exitcode: int | None = None
        self.cause = ""
        self.worker_lost = False
        self.killed = False

    def end(self, exitcode: int, cause: str) -> None:
        """The process has ended."""
        self.peer, self.exitcode, self.cause = None, exitcode, cause


@dataclass
class _AttachedWorker:
    """One leased unit of a worker's capacity, and the process that it runs. `started`: how many it was sent so far;
    `away_since`: when its connection broke, None while it has one."""

    attach: Attach
    seen_at: float
    request: ProcessRequest | None = None
    started: int = 0
    away_since: float | None = None

    def end(self, exitcode: int, cause: str) -> None:
        """The process it runs has ended."""
        request, self.request = self.request, None
        if request is not None:
            request.end(exitcode, cause)


class Roster:
    """The workers that have attached, and the processes that are requested.

    `needs`: how many workers of each role are kept; further ones are released. A worker whose connection breaks is
    away: its process goes on, and the worker keeps it if it attaches again in time. Another may be kept in reserve
    meanwhile.
    """

    def __init__(self, needs: Mapping[Role, int]) -> None:
        self._needs = needs
        self._attached: dict[bytes, _AttachedWorker] = {}
        self._pending: list[ProcessRequest] = []

    @property
    def peers(self) -> list[bytes]:
        """The workers that are attached."""
        return list(self._attached)

    def request(self, request: ProcessRequest) -> Sends:
        """Start a process at the first free worker of its role, now or when one attaches."""
        self._pending.append(request)
        return self._assign()

    def is_pending(self, request: ProcessRequest) -> bool:
        """Whether a process has not been started yet, because no worker is free."""
        return request in self._pending

    def is_away(self, request: ProcessRequest) -> bool:
        """Whether the worker of a process has no connection at present."""
        return request.peer is not None and self._attached[request.peer].away_since is not None

    def receive(self, peer: bytes, message: ToRunProcess, now: float) -> Sends:
        """Handle a worker's message; the messages to send."""
        if isinstance(message, Attach):
            return self._attach(peer, message, now)
        worker = self._attached.get(peer)
        if worker is None:  # what was still to be sent when the connection broke may come over another one
            return []
        worker.seen_at = now
        if isinstance(message, Alive):
            return [(peer, Alive())]
        worker.end(message.exitcode, cause(message.exitcode))
        return self._assign()

    def broken(self, peer: bytes, now: float) -> None:
        """A worker's connection broke: the worker is away."""
        if worker := self._attached.get(peer):
            worker.away_since = now

    def expire(self, now: float) -> Sends:
        """Give up the workers that have been silent or away for too long: what they ran has ended."""
        for peer, worker in list(self._attached.items()):
            if worker.away_since is not None and now - worker.away_since > LEASED_WORKER_RECONNECT_TIMEOUT_S:
                self._give_up(peer, _BROKEN)
        silent = [peer for peer, worker in self._attached.items() if now - worker.seen_at > LEASED_WORKER_TIMEOUT_S]
        for peer in silent:
            self._give_up(peer, f"silent for {LEASED_WORKER_TIMEOUT_S:g} s")
        return [(peer, Release()) for peer in silent]

    def kill(self, request: ProcessRequest) -> Sends:
        """Kill a process; a pending one never starts, and nobody waits for that of a worker that is away."""
        request.killed = True
        if request in self._pending:
            self._pending.remove(request)
            request.end(-9, _NEVER_STARTED)
        if request.peer is None:
            return []
        if self.is_away(request):
            self._give_up(request.peer, _BROKEN)
            return []
        return [(request.peer, Kill())]

    def _give_up(self, peer: bytes, why: str) -> None:
        worker = self._attached.pop(peer)
        if worker.request is not None:
            worker.request.worker_lost = True
            worker.end(_WORKER_GONE, f"its worker {worker.attach.name} on {worker.attach.host} is gone: {why}")

    def _attach(self, peer: bytes, attach: Attach, now: float) -> Sends:
        if attach.started is not None:
            return self._attach_again(peer, attach, attach.started, now)
        if peer in self._attached or len(self._present(attach.role)) >= self._needs.get(attach.role, 0):
            return [(peer, Release())]
        self._attached[peer] = _AttachedWorker(attach, now)
        return self._assign()

    def _attach_again(self, peer: bytes, attach: Attach, started: int, now: float) -> Sends:
        """A worker whose connection broke is back: what was lost with the connection is sent or taken over now."""
        before = next((at for at, worker in self._attached.items() if worker.attach.lease == attach.lease), None)
        if before is None or self._attached[before].attach.role != attach.role:  # given up, or of another run process
            return [(peer, Release())]
        worker = self._attached[peer] = self._attached.pop(before)
        worker.seen_at, worker.away_since = now, None
        if worker.request is None:
            return [*self._assign(), *self._release_spare(attach.role)]
        request, worker.request.peer = worker.request, peer
        sends: list[tuple[bytes, FromRunProcess]] = []
        if started < worker.started and not request.killed:
            sends += [(peer, message) for message in request.start_messages()]
        elif started < worker.started:
            worker.end(-9, _NEVER_STARTED)
        elif attach.exitcode is not None:
            request.worker_lost = True  # a node whose connection to its channel server broke as well
            worker.end(attach.exitcode, cause(attach.exitcode))
        elif request.killed:
            sends.append((peer, Kill()))
        return [*sends, *self._assign(), *self._release_spare(attach.role)]

    def _present(self, role: Role) -> list[bytes]:
        """The workers of this role that are not away."""
        return [
            peer for peer, worker in self._attached.items() if worker.attach.role == role and worker.away_since is None
        ]

    def _release_spare(self, role: Role) -> Sends:
        """Release what was kept in reserve and is not needed."""
        present = self._present(role)
        free = [peer for peer in present if self._attached[peer].request is None]
        spare = free[: max(0, len(present) - self._needs.get(role, 0))]
        for peer in spare:
            del self._attached[peer]
        return [(peer, Release()) for peer in spare]

    def _assign(self) -> Sends:
        """Start pending processes at free workers that are not away, both in their order."""
        sends: list[tuple[bytes, FromRunProcess]] = []
        for peer, worker in self._attached.items():
            request = next((pending for pending in self._pending if pending.role == worker.attach.role), None)
            if worker.request is None and worker.away_since is None and request is not None:
                self._pending.remove(request)
                worker.request, request.peer = request, peer
                worker.started += 1
                sends += [(peer, message) for message in request.start_messages()]
        return sends
