"""Leases the pool's workers to runs: which runs need some, and what each of them lacks."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from controller.config.errors import ConfigError, invalid
from controller.config.resolved import capacity_of
from controller.pool.listener import PoolListener
from controller.pool.registry import Demand
from controller.run_folder.files import DamagedFileError
from controller.run_folder.meta import RunMeta
from controller.run_folder.status import RunStatus
from controller.service.limits import LEASE_POLL_S
from controller.service.store import Run

_NO_POOL = "this controller has no pool: start it with `airtoll serve --pool tcp://127.0.0.1:8771`"
_SETTLING = "waits for the pool's workers to report"


class Leasing:
    """Leases workers to runs. `listener`: None for a controller without a pool.

    `set_reason` stores what a run lacks; `changed` is called when a waiting run may find capacity that was missing
    before.
    """

    def __init__(
        self,
        listener: PoolListener | None,
        *,
        set_reason: Callable[[str, str], Awaitable[None]],
        changed: Callable[[], None],
    ) -> None:
        self.listener = listener
        self._store_reason = set_reason
        self._changed = changed
        self._demands: dict[str, Demand] = {}  # by run id, from the runs' configurations
        self._at_work: dict[str, tuple[Run, Demand]] = {}
        self._reasons: dict[str, str] = {}  # that the runs should have
        self._stored_reasons: dict[str, str] = {}
        self._capacity_state: object = None

    @property
    def run_process_arguments(self) -> list[str]:
        """The arguments that give a run process its ports and keys."""
        if self.listener is None:
            return []
        return [str(self.listener.ports), *([str(self.listener.keys)] if self.listener.keys else [])]

    def check(self, placement: str) -> None:
        """ConfigError for a run in the pool of a controller without one: it would wait for ever."""
        if placement == "pool" and self.listener is None:
            raise ConfigError(invalid("placement", placement, _NO_POOL))

    async def can_start(self, run: Run) -> bool:
        """Whether a waiting run can start; if not, what it lacks becomes its reason."""
        if run.config["placement"] != "pool":
            return True
        missing = self._missing(await self._demand(run))
        self._reasons[run.id] = missing
        return not missing

    def begin(self, run: Run) -> None:
        """Reserve capacity for a run that starts, until its run process listens."""
        status = _status(run.folder)
        if status is not None and status.port:  # of the run process before this one
            status._replace(port=0).write(run.folder)
        if run.id in self._demands:
            self._at_work[run.id] = run, self._demands[run.id]

    async def update_demand(self, run: Run, status: RunStatus) -> None:
        """Follow a run process's status: it listens for workers at a port, or (port 0) needs none any more."""
        if status.port:
            self._at_work[run.id] = run, (await self._demand(run))._replace(port=status.port)
        elif run.id in self._at_work and self._at_work[run.id][1].port:
            del self._at_work[run.id]
            self._reasons[run.id] = ""
            self._changed()

    def end(self, run_id: str) -> None:
        """Forget a run that has ended."""
        for known in (self._demands, self._at_work, self._reasons, self._stored_reasons):
            known.pop(run_id, None)

    async def lease_loop(self) -> None:
        """Lease idle capacity to the runs at work, for ever."""
        while self.listener is not None:
            await self._lease(self.listener)
            await asyncio.sleep(LEASE_POLL_S)

    async def reason_loop(self) -> None:
        """Store the reasons of runs when they change, for ever; by itself, as leasing must not wait for the store.

        The first one of a run is always stored: an earlier service may have left another.
        """
        while self.listener is not None:
            for run_id, reason in list(self._reasons.items()):
                if self._stored_reasons.get(run_id) != reason:
                    await self._store_reason(run_id, reason)
                    if run_id in self._reasons:  # it has not ended meanwhile
                        self._stored_reasons[run_id] = reason
            await asyncio.sleep(LEASE_POLL_S)

    def close(self) -> None:
        """Close the pool's socket; leased workers continue."""
        if self.listener is not None:
            self.listener.close()

    async def _demand(self, run: Run) -> Demand:
        if run.id not in self._demands:
            self._demands[run.id] = await asyncio.to_thread(_demand, run)
        return self._demands[run.id]

    async def _lease(self, listener: PoolListener) -> None:
        listener.poll()
        for run, demand in list(self._at_work.values()):
            # Read after the workers' heartbeats: a run process gives up its demand before it releases its workers.
            status = await asyncio.to_thread(_status, run.folder) if listener.registry.is_short(demand) else None
            if status is not None and run.id in self._at_work:
                await self.update_demand(run, status)
        listener.lease(self._ahead)
        if listener.settled:
            self._update_reasons(listener)
        if listener.capacity_state != self._capacity_state:
            self._capacity_state = listener.capacity_state
            self._changed()

    def _update_reasons(self, listener: PoolListener) -> None:
        """Update the reasons of the runs at work, and of the waiting runs that have one.

        A running run may continue without an agent that it has lost: it lacks the agent, but does not wait for it.
        """
        for index, demand in enumerate(ahead := self._ahead):
            if demand.port:
                shortage = listener.shortage(demand, ahead[:index])
                lacks = shortage and f"lacks {shortage}"
                unreached = "" if listener.registry.attached(demand) else listener.registry.unreached(demand)
                self._reasons[demand.run_id] = "; ".join(filter(None, (lacks, unreached)))
        for run_id, demand in self._demands.items():
            if self._reasons.get(run_id) and run_id not in self._at_work:
                self._reasons[run_id] = self._missing(demand)

    @property
    def _ahead(self) -> list[Demand]:
        """The runs at work: what they lack is leased first."""
        return [demand for _, demand in self._at_work.values()]

    def _missing(self, demand: Demand) -> str:
        """What keeps a run from starting; "" for nothing."""
        if self.listener is None:
            return _NO_POOL
        if not self.listener.settled:
            return _SETTLING
        if not (shortage := self.listener.shortage(demand, self._ahead)):
            return ""
        return "; ".join(filter(None, (f"waits for {shortage}", self.listener.registry.unreached(demand))))


def _demand(run: Run) -> Demand:
    try:
        meta = RunMeta.read(run.folder)
    except DamagedFileError:  # the folder is gone: the run starts without workers, and fails with the reason
        return Demand(run.id, capacity_of(0), torch=False)
    return Demand(run.id, capacity_of(meta.agents), torch=meta.agents_need_torch)


def _status(folder: Path) -> RunStatus | None:
    """The newest status; None also for a damaged one, which its run process replaces."""
    with suppress(DamagedFileError):
        return RunStatus.read(folder)
    return None
