"""The pool's registry: its workers, and how much of their capacity is leased to which runs. No sockets, no clock.

Every heartbeat carries a worker's whole state, so the registry is correct again soon after the service restarts.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import NamedTuple

from controller.pool.timeouts import (
    FIRST_BACKOFF_S,
    LEASE_TIMEOUT_S,
    MAX_WORKER_BACKOFF_S,
    SETTLE_S,
    WORKER_HEARTBEAT_TIMEOUT_S,
)
from protocol.messages.pool import Heartbeat, Lease, Role

MAX_WORKERS = 10_000
_NAMED = 3  # workers in a reason


class Demand(NamedTuple):
    """What a run needs: processes per role; `torch`: its agents need it. `port`: where its run process listens, 0 while
    it does not."""

    run_id: str
    needs: Mapping[Role, int]
    torch: bool = False
    port: int = 0


@dataclass
class RegisteredWorker:
    """A worker as of its last heartbeat.

    `peer`: its connection; `leased`: leases that it has not reported yet, each with its run and when it was sent.
    `unattached`: the runs of leases that have ended before the worker reached their run process; `failures`: how often
    that happened in a row, at last with the port `failed_port`; it gets no lease until `backoff_until`.
    """

    peer: bytes
    state: Heartbeat
    seen_at: float
    leased: dict[str, tuple[str, float]] = field(default_factory=dict)
    unattached: set[str] = field(default_factory=set)
    failures: int = 0
    failed_port: int = 0
    backoff_until: float = 0.0

    def update(self, peer: bytes, state: Heartbeat, now: float) -> None:
        """Take over a heartbeat's state, and note the leases that have ended since the one before."""
        for lease, assignment in self.state.leases.items():
            if lease not in state.leases and not assignment.attached:
                self.unattached.add(assignment.run_id)
        for lease, (run_id, at) in list(self.leased.items()):
            if lease in state.leases:
                del self.leased[lease]
            elif now - at >= LEASE_TIMEOUT_S:
                del self.leased[lease]
                self.unattached.add(run_id)
        if _attached(state) - _attached(self.state):
            self.failures, self.backoff_until = 0, 0.0
        self.peer, self.state, self.seen_at = peer, state, now

    def fail(self, port: int, now: float) -> None:
        """It did not reach the run process at this port."""
        self.failures += 1
        self.failed_port = port
        self.backoff_until = now + min(FIRST_BACKOFF_S * 2 ** (self.failures - 1), MAX_WORKER_BACKOFF_S)

    @property
    def idle(self) -> int:
        return self.state.capacity - len(self.state.leases) - len(self.leased)

    @property
    def has_torch(self) -> bool:
        return self.state.fingerprint.get("torch", "none") != "none"

    def can_run(self, role: Role, demand: Demand) -> bool:
        """Whether it can run a process of this role for a run."""
        return self.state.role == role and (not demand.torch or role != "agent" or self.has_torch)

    def leased_to(self, run_id: str) -> int:
        """How much of its capacity is leased to a run."""
        reported = sum(assignment.run_id == run_id for assignment in self.state.leases.values())
        return reported + sum(run == run_id for run, _ in self.leased.values())


def _attached(state: Heartbeat) -> set[str]:
    """The leases with which a worker has reached a run process."""
    return {lease for lease, assignment in state.leases.items() if assignment.attached}


class WorkerRegistry:
    """The workers of the pool. `started_at`: when the service started."""

    def __init__(self, started_at: float) -> None:
        self._started_at = started_at
        self._workers: dict[str, RegisteredWorker] = {}

    @property
    def workers(self) -> list[RegisteredWorker]:
        """In the order in which they registered."""
        return list(self._workers.values())

    def idle(self, now: float) -> Counter[tuple[Role, bool]]:
        """Capacity to lease, by role and by whether torch is installed."""
        idle: Counter[tuple[Role, bool]] = Counter()
        for worker in self.workers:
            idle[worker.state.role, worker.has_torch] += worker.idle if now >= worker.backoff_until else 0
        return idle

    def settled(self, now: float) -> bool:
        """Whether workers that were leased before the service started have had time to report."""
        return now - self._started_at >= SETTLE_S

    def receive(self, peer: bytes, heartbeat: Heartbeat, now: float) -> str:
        """Register or update a worker; why it is refused, or ""."""
        worker = self._workers.get(heartbeat.worker)
        if worker is None:
            if len(self._workers) >= MAX_WORKERS:
                return f"the pool has {MAX_WORKERS} workers already"
            worker = self._workers[heartbeat.worker] = RegisteredWorker(peer, heartbeat, now)
        worker.update(peer, heartbeat, now)
        return ""

    def gone(self, peer: bytes) -> None:
        """Remove a worker whose connection broke, and its leases."""
        self._workers = {key: worker for key, worker in self._workers.items() if worker.peer != peer}

    def expire(self, now: float) -> None:
        """Remove the workers whose heartbeats have stopped."""
        self._workers = {
            key: worker for key, worker in self._workers.items() if now - worker.seen_at <= WORKER_HEARTBEAT_TIMEOUT_S
        }

    def lease(self, demands: Iterable[Demand], now: float) -> list[tuple[bytes, Lease]]:
        """Lease idle capacity to the runs that lack some, in their order; the leases to send, with their peers.

        Capacity for a run without a port is reserved: its run process will listen soon.
        """
        leases: list[tuple[bytes, Lease]] = []
        if not self.settled(now):
            return leases
        demands = list(demands)
        self._back_off(demands, now)
        idle = _IdleCapacity(self.workers, now)
        for demand in demands:
            for worker in idle.take(demand):
                if demand.port:
                    lease = Lease(token_hex(8), demand.run_id, demand.port)
                    worker.leased[lease.lease] = (demand.run_id, now)
                    leases.append((worker.peer, lease))
        return leases

    def is_short(self, demand: Demand) -> bool:
        """Whether less capacity is leased to a run than it needs."""
        return any(_missing(self.workers, demand).values())

    def unreached(self, demand: Demand) -> str:
        """Which workers that a run could use did not reach their last run process; "" for none.

        For example: worker attic on host did not reach port 8772 of the controller (3 attempts)
        """
        failed = [
            f"worker {worker.state.name} on {worker.state.host} did not reach port {worker.failed_port} of the "
            f"controller ({worker.failures} attempt{'s' if worker.failures > 1 else ''})"
            for worker in self.workers
            if worker.failures and any(worker.can_run(role, demand) for role in demand.needs)
        ]
        more = [f"and {len(failed) - _NAMED} more"] if len(failed) > _NAMED else []
        return ", ".join(failed[:_NAMED] + more)

    def attached(self, demand: Demand) -> bool:
        """Whether all processes of a run have a worker that has reached its run process."""
        attached = Counter(
            worker.state.role
            for worker in self.workers
            for assignment in worker.state.leases.values()
            if assignment.attached and assignment.run_id == demand.run_id
        )
        return all(attached[role] >= needed for role, needed in demand.needs.items())

    def shortage(self, demand: Demand, now: float, ahead: Iterable[Demand] = ()) -> str:
        """What a run still lacks once the runs ahead of it have what they need; "" for nothing.

        For example: 4 agents with torch (10 needed, 6 idle) and 1 channel
        """
        idle = _IdleCapacity(self.workers, now)
        for other in ahead:
            idle.take(other)
        missing = _missing(self.workers, demand)
        available = {role: idle.count(role, demand) for role in missing}
        taken = Counter(worker.state.role for worker in idle.take(demand))
        return " and ".join(
            _describe(role, demand, count - taken[role], idle=available[role])
            for role, count in missing.items()
            if count > taken[role]
        )

    def _back_off(self, demands: list[Demand], now: float) -> None:
        """Count the failures of workers whose leases ended although the run, whose demands are up to date, is short."""
        ports = {demand.run_id: demand.port for demand in demands if demand.port and self.is_short(demand)}
        for worker in self.workers:
            if runs := ports.keys() & worker.unattached:
                worker.fail(ports[min(runs)], now)
            worker.unattached.clear()


class _IdleCapacity:
    """Idle capacity that may be leased, which decreases as it is taken."""

    def __init__(self, workers: list[RegisteredWorker], now: float) -> None:
        self._workers = workers
        self._left = [worker.idle if now >= worker.backoff_until else 0 for worker in workers]

    def count(self, role: Role, demand: Demand) -> int:
        """How much of it a run can use for a role."""
        pairs = zip(self._workers, self._left, strict=True)
        return sum(max(0, left) for worker, left in pairs if worker.can_run(role, demand))

    def take(self, demand: Demand) -> list[RegisteredWorker]:
        """One worker per missing process of a run, as far as idle capacity reaches; first the workers that reached
        their last run process, and among them those without torch."""
        return [
            self._workers[index]
            for role, count in _missing(self._workers, demand).items()
            for index in self._take_role(role, demand, count)
        ]

    def _take_role(self, role: Role, demand: Demand, count: int) -> Iterator[int]:
        suitable = [index for index, worker in enumerate(self._workers) if worker.can_run(role, demand)]
        for index in sorted(suitable, key=self._preference):
            while count > 0 and self._left[index] > 0:
                count -= 1
                self._left[index] -= 1
                yield index

    def _preference(self, index: int) -> tuple[int, bool]:
        return self._workers[index].failures, self._workers[index].has_torch


def _missing(workers: list[RegisteredWorker], demand: Demand) -> dict[Role, int]:
    """How many processes of each role a run has no lease for."""
    leased: Counter[Role] = Counter()
    for worker in workers:
        leased[worker.state.role] += worker.leased_to(demand.run_id)
    return {role: max(0, needed - leased[role]) for role, needed in demand.needs.items()}


def _describe(role: Role, demand: Demand, missing: int, *, idle: int) -> str:
    """4 agents with torch (10 needed, 6 idle)"""
    needed = demand.needs[role]
    name = f"{role}{'' if missing == 1 else 's'}{' with torch' if demand.torch and role == 'agent' else ''}"
    if missing == needed:
        return f"{missing} {name}"
    present = needed - missing - idle
    return f"{missing} {name} ({needed} needed, {f'{needed - missing} present' if present else f'{idle} idle'})"
