"""The pool's books: which workers there are, and which of their places are leased to which runs. No sockets, no clock.

Workers say all they do in every Present, so the books are as right after the service has started anew as before.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import NamedTuple

from protocol.messages.pool import Heartbeat, Lease, Role

WORKER_SILENT_S = 5.0
SETTLE_S = 1.5  # after the start, for all workers to say what they do
_LEASE_TIMEOUT_S = 5.0  # for a worker to say that it has a lease
_MAX_WORKERS = 10_000


class Demand(NamedTuple):
    """A run's needs: places of each role; `torch`: at its agents. `port`: of its run process's line, 0 while it has none."""

    run_id: str
    needs: Mapping[Role, int]
    torch: bool = False
    port: int = 0


@dataclass
class Worker:
    """A worker as it said last. `leased`: given since, with the times; it has not said yet that it has them."""

    peer: bytes
    told: Heartbeat
    seen_at: float
    leased: dict[str, tuple[str, float]] = field(default_factory=dict)

    @property
    def idle(self) -> int:
        return self.told.capacity - len(self.told.leases) - len(self.leased)

    def suits(self, role: Role, wanting: Demand) -> bool:
        """Whether it can do this for a run."""
        return self.told.role == role and (not wanting.torch or role != "agent" or self.has_torch)

    @property
    def has_torch(self) -> bool:
        return self.told.fingerprint.get("torch", "none") != "none"

    def places_of(self, run_id: str) -> int:
        """How many of its places are a run's."""
        held = sum(held.run_id == run_id for held in self.told.leases.values())
        return held + sum(run == run_id for run, _ in self.leased.values())


class Pool:
    """The workers that are there. `began_at`: nothing is leased until all have had time to speak."""

    def __init__(self, began_at: float) -> None:
        self._began_at = began_at
        self._workers: dict[str, Worker] = {}

    @property
    def workers(self) -> list[Worker]:
        """In the order in which they came."""
        return list(self._workers.values())

    @property
    def idle(self) -> Counter[tuple[Role, bool]]:
        """Idle places by role, and whether torch is there."""
        capacity: Counter[tuple[Role, bool]] = Counter()
        for worker in self.workers:
            capacity[worker.told.role, worker.has_torch] += worker.idle
        return capacity

    def settled(self, now: float) -> bool:
        """Whether those that were at work before the service have had time to say so."""
        return now - self._began_at >= SETTLE_S

    def present(self, peer: bytes, told: Heartbeat, now: float) -> str:
        """A worker says what it does; why it cannot be taken, or ""."""
        worker = self._workers.get(told.worker)
        if worker is None:
            if len(self._workers) >= _MAX_WORKERS:
                return f"the pool has {_MAX_WORKERS} workers already"
            worker = self._workers[told.worker] = Worker(peer, told, now)
        worker.peer, worker.told, worker.seen_at = peer, told, now
        worker.leased = {
            lease: (run, at)
            for lease, (run, at) in worker.leased.items()
            if lease not in told.leases and now - at < _LEASE_TIMEOUT_S
        }
        return ""

    def gone(self, peer: bytes) -> None:
        """A worker's connection is gone, and with it its leases."""
        self._workers = {key: worker for key, worker in self._workers.items() if worker.peer != peer}

    def look(self, now: float) -> None:
        """Whoever has been silent for too long is gone."""
        alive = {key: w for key, w in self._workers.items() if now - w.seen_at <= WORKER_SILENT_S}
        self._workers = alive

    def lease(self, at_work: Iterable[Demand], now: float) -> list[tuple[bytes, Lease]]:
        """Idle places for the runs that lack some, in their order; to whom to say so."""
        given: list[tuple[bytes, Lease]] = []
        idle = _Idle(self.workers)
        for wanting in at_work if self.settled(now) else ():
            for worker in idle.take(wanting):
                if wanting.port:
                    lease = Lease(token_hex(8), wanting.run_id, wanting.port)
                    worker.leased[lease.lease] = (wanting.run_id, now)
                    given.append((worker.peer, lease))
        return given

    def lacks(self, wanting: Demand) -> bool:
        """Whether it has fewer places than it needs."""
        return any(_lacks(self.workers, wanting).values())

    def shortage(self, wanting: Demand, ahead: Iterable[Demand] = ()) -> str:
        """What a run waits for when those ahead of it have what they lack; "" for nothing."""
        idle = _Idle(self.workers)
        for other in ahead:
            idle.take(other)
        lacks = _lacks(self.workers, wanting)
        before = {role: idle.count(role, wanting) for role in lacks}
        taken = Counter(worker.told.role for worker in idle.take(wanting))
        parts = [
            _lack(role, wanting, lack - taken[role], idle=before[role])
            for role, lack in lacks.items()
            if lack > taken[role]
        ]
        return f"waits for {' and '.join(parts)}" if parts else ""


class _Idle:
    """Idle places, which become fewer as they are taken."""

    def __init__(self, workers: list[Worker]) -> None:
        self._workers = workers
        self._left = [worker.idle for worker in workers]

    def count(self, role: Role, wanting: Demand) -> int:
        """How many there are that suit."""
        pairs = zip(self._workers, self._left, strict=True)
        return sum(max(0, left) for worker, left in pairs if worker.suits(role, wanting))

    def take(self, wanting: Demand) -> list[Worker]:
        """A worker for each place that the run lacks, as far as there are; those without torch first."""
        return [
            self._workers[at]
            for role, lack in _lacks(self._workers, wanting).items()
            for at in self._some(role, wanting, lack)
        ]

    def _some(self, role: Role, wanting: Demand, lack: int) -> Iterator[int]:
        suited = [at for at, worker in enumerate(self._workers) if worker.suits(role, wanting)]
        for at in sorted(suited, key=lambda at: self._workers[at].has_torch):
            while lack > 0 and self._left[at] > 0:
                lack -= 1
                self._left[at] -= 1
                yield at


def _lacks(workers: list[Worker], wanting: Demand) -> dict[Role, int]:
    """Places that the run has not got, by role."""
    got: Counter[Role] = Counter()
    for worker in workers:
        got[worker.told.role] += worker.places_of(wanting.run_id)
    return {role: max(0, needed - got[role]) for role, needed in wanting.needs.items()}


def _lack(role: Role, wanting: Demand, lack: int, *, idle: int) -> str:
    """4 more agents with torch (10 asked for, 6 idle)"""
    needed = wanting.needs[role]
    name = f"{role}{'' if lack == 1 else 's'}{' with torch' if wanting.torch and role == 'agent' else ''}"
    if lack == needed:
        return f"{lack} {name}"
    got = needed - lack - idle
    return f"{lack} more {name} ({needed} asked for, {f'{idle} idle' if not got else f'{needed - lack} there'})"
