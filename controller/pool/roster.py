"""Which leased place runs what, as a run's run process sees it: no sockets, no clock. Events in, messages to workers out."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from controller.execution.local_machine import cause
from protocol.messages.pool import Alive, Attach, FromRunProcess, Kill, Refusal, Release, Role, ToRunProcess

WORKER_SILENT_S = 10.0
_GONE = 1  # the exit code of what is gone with its worker

Sends = Iterable[tuple[bytes, FromRunProcess]]


class ProcessRequest:
    """A process that is wanted of a worker. `begin`: the messages that start it; `peer`: who has it."""

    def __init__(self, role: Role, begin: Callable[[], Iterable[FromRunProcess]]) -> None:
        self.role = role
        self.begin = begin
        self.peer: bytes | None = None
        self.exitcode: int | None = None
        self.cause = ""
        self.taken_away = False


@dataclass
class _Place:
    worker: Attach
    heard_at: float
    wanted: ProcessRequest | None = None


class Roster:
    """The places that have come, and what is wanted. `needs`: of each role so many, more are sent back."""

    def __init__(self, needs: Mapping[Role, int]) -> None:
        self._needs = needs
        self._places: dict[bytes, _Place] = {}
        self._waiting: list[ProcessRequest] = []

    @property
    def peers(self) -> list[bytes]:
        """Who has come and not gone."""
        return list(self._places)

    def want(self, wanted: ProcessRequest) -> Sends:
        """Start it at the first place of its role that is free, now or later."""
        self._waiting.append(wanted)
        return self._assigned()

    def waits(self, wanted: ProcessRequest) -> bool:
        """Whether it is still to be started."""
        return wanted in self._waiting

    def hear(self, peer: bytes, told: ToRunProcess, now: float) -> Sends:
        """A worker says something."""
        if isinstance(told, Attach):
            return self._come(peer, told, now)
        place = self._places.get(peer)
        if place is None:
            return [(peer, Refusal("say Attach first"))]
        place.heard_at = now
        if isinstance(told, Alive):
            return [(peer, Alive())]
        if place.wanted is not None:
            _end(place, told.exitcode, cause(told.exitcode))
        return self._assigned()

    def gone(self, peer: bytes, why: str) -> None:
        """A worker's line broke, or it left."""
        place = self._places.pop(peer, None)
        if place is not None and (wanted := place.wanted) is not None:
            wanted.taken_away = True
            _end(place, _GONE, f"its worker {place.worker.name} on {place.worker.host} is gone: {why}")

    def look(self, now: float) -> Sends:
        """Whoever has been silent for too long is gone."""
        silent = [peer for peer, place in self._places.items() if now - place.heard_at > WORKER_SILENT_S]
        for peer in silent:
            self.gone(peer, f"silent for {WORKER_SILENT_S:g} s")
        return [(peer, Release()) for peer in silent]

    def kill(self, wanted: ProcessRequest) -> Sends:
        """End a process; one that has not begun never does."""
        if wanted in self._waiting:
            self._waiting.remove(wanted)
            wanted.exitcode, wanted.cause = -9, "killed before it began"
        if wanted.peer is None:
            return []
        return [(wanted.peer, Kill())]

    def _come(self, peer: bytes, worker: Attach, now: float) -> Sends:
        here = sum(place.worker.role == worker.role for place in self._places.values())
        if peer in self._places or here >= self._needs.get(worker.role, 0):
            return [(peer, Release())]
        self._places[peer] = _Place(worker, now)
        return self._assigned()

    def _assigned(self) -> Sends:
        """What waits, in this order, for the places that are free, in theirs."""
        sends: list[tuple[bytes, FromRunProcess]] = []
        for peer, place in self._places.items():
            wanted = next((w for w in self._waiting if w.role == place.worker.role), None)
            if place.wanted is None and wanted is not None:
                self._waiting.remove(wanted)
                place.wanted, wanted.peer = wanted, peer
                sends += [(peer, message) for message in wanted.begin()]
        return sends


def _end(place: _Place, exitcode: int, cause: str) -> None:
    wanted, place.wanted = place.wanted, None
    if wanted is not None:
        wanted.peer, wanted.exitcode, wanted.cause = None, exitcode, cause
