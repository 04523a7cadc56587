"""Which leased worker runs which process, as a run process sees it. No sockets, no clock: events in, messages out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from controller.execution.local_machine import cause
from controller.pool.timeouts import LEASED_WORKER_TIMEOUT_S
from protocol.messages.pool import Alive, Attach, FromRunProcess, Kill, Refusal, Release, Role, ToRunProcess

_WORKER_GONE = 1  # exit code of a process whose worker is gone

Sends = Iterable[tuple[bytes, FromRunProcess]]


class ProcessRequest:
    """A process to run at a worker. `start_messages`: the messages that start it; `peer`: the worker that runs it, None
    while it is pending and after its end. `worker_lost`: it ended because its worker is gone.
    """

    def __init__(self, role: Role, start_messages: Callable[[], Iterable[FromRunProcess]]) -> None:
        self.role = role
        self.start_messages = start_messages
        self.peer: bytes | None = None
        self.exitcode: int | None = None
        self.cause = ""
        self.worker_lost = False

    def end(self, exitcode: int, cause: str) -> None:
        """The process has ended."""
        self.peer, self.exitcode, self.cause = None, exitcode, cause


@dataclass
class _AttachedWorker:
    """One leased unit of a worker's capacity, and the process that it runs."""

    attach: Attach
    seen_at: float
    request: ProcessRequest | None = None

    def end(self, exitcode: int, cause: str) -> None:
        """The process it runs has ended."""
        request, self.request = self.request, None
        if request is not None:
            request.end(exitcode, cause)


class Roster:
    """The workers that have attached, and the processes that are requested.

    `needs`: how many workers of each role are kept; further ones are released.
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

    def receive(self, peer: bytes, message: ToRunProcess, now: float) -> Sends:
        """Handle a worker's message; the messages to send."""
        if isinstance(message, Attach):
            return self._attach(peer, message, now)
        worker = self._attached.get(peer)
        if worker is None:
            return [(peer, Refusal("send Attach first"))]
        worker.seen_at = now
        if isinstance(message, Alive):
            return [(peer, Alive())]
        worker.end(message.exitcode, cause(message.exitcode))
        return self._assign()

    def gone(self, peer: bytes, why: str) -> None:
        """A worker's connection broke, or the worker is silent: what it ran has ended."""
        worker = self._attached.pop(peer, None)
        if worker is not None and worker.request is not None:
            worker.request.worker_lost = True
            worker.end(_WORKER_GONE, f"its worker {worker.attach.name} on {worker.attach.host} is gone: {why}")

    def expire(self, now: float) -> Sends:
        """Drop the workers that have been silent for too long."""
        silent = [peer for peer, worker in self._attached.items() if now - worker.seen_at > LEASED_WORKER_TIMEOUT_S]
        for peer in silent:
            self.gone(peer, f"silent for {LEASED_WORKER_TIMEOUT_S:g} s")
        return [(peer, Release()) for peer in silent]

    def kill(self, request: ProcessRequest) -> Sends:
        """Kill a process; a pending one never starts."""
        if request in self._pending:
            self._pending.remove(request)
            request.end(-9, "killed before it was started")
        return [] if request.peer is None else [(request.peer, Kill())]

    def _attach(self, peer: bytes, attach: Attach, now: float) -> Sends:
        attached = sum(worker.attach.role == attach.role for worker in self._attached.values())
        if peer in self._attached or attached >= self._needs.get(attach.role, 0):
            return [(peer, Release())]
        self._attached[peer] = _AttachedWorker(attach, now)
        return self._assign()

    def _assign(self) -> Sends:
        """Start pending processes at free workers, both in their order."""
        sends: list[tuple[bytes, FromRunProcess]] = []
        for peer, worker in self._attached.items():
            request = next((pending for pending in self._pending if pending.role == worker.attach.role), None)
            if worker.request is None and request is not None:
                self._pending.remove(request)
                worker.request, request.peer = request, peer
                sends += [(peer, message) for message in request.start_messages()]
        return sends
