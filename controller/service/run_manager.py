"""The owner of runs: takes them into a queue, gives so many at a time to run processes, and passes on what is asked of them.

Everything here happens in one event loop; what may take long (files, the store) is done in threads. Run processes depend on
nobody: an owner that starts anew finds those that are at work, and goes on from there.
"""

import asyncio
import shutil
import signal
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from controller.config.resolved import ResolvedRun
from controller.config.run_config import as_mapping
from controller.pool.listener import PoolLine
from controller.run_folder.status import AT_WORK, ENDS, RunStatus, State
from controller.run_folder.writer import RunWriter
from controller.service.background import Background, retry_while_unavailable
from controller.service.data_folder import DataFolder
from controller.service.leasing import Leasing
from controller.service.limits import MAX_QUEUED, STOP_TIMEOUT_S
from controller.service.run_supervisor import RunSupervisor, set_folder_state
from controller.service.store import Run, Store

_RUNS = "runs"


class NoSuchRunError(LookupError):
    """No run has this id."""


class WrongStateError(Exception):
    """What is asked for cannot be done in the run's state."""


class QueueFullError(Exception):
    """As many runs are waiting as may wait."""


class RunManager:
    """Owns the runs whose folders lie in `data`/runs. At most `at_once` are at work, at most `max_queued` wait.

    `resume_lost`, `stop_timeout_s`: of their run processes, see `RunSupervisor`.
    `pool`: where workers report that runs may be leased, closed with the owner; a run that lacks some stands back.
    ConfigError if another service has the folder, or the store is another folder's. While the store does not answer,
    what is asked of the owner raises StoreGoneError; what it has to write down by itself waits.
    """

    def __init__(
        self,
        data: Path,
        store: Store,
        *,
        at_once: int = 1,
        max_queued: int = MAX_QUEUED,
        resume_lost: bool = False,
        pool: PoolLine | None = None,
        stop_timeout_s: float = STOP_TIMEOUT_S,
    ) -> None:
        self._folder = DataFolder(data)
        try:
            store.belong_to(self._folder.id, self._folder.path)
        except Exception:
            self._folder.close()
            raise
        self.data = self._folder.path
        self.store = store
        self.at_once = at_once
        self._max_queued = max_queued
        self._changed = asyncio.Event()
        self.pool = pool
        self._leasing = Leasing(pool, explain=self._explain, changed=self._changed.set)
        self._background = Background()
        self._supervisor = RunSupervisor(
            store,
            self._leasing,
            self._background,
            resume_lost=resume_lost,
            stop_timeout_s=stop_timeout_s,
            ended=self._changed.set,
        )

    async def open(self) -> None:
        """Find the run processes that are at work, and give the queue to new ones."""
        known = await self._supervisor.adopt_all()
        self._background.spawn(self._supervisor.adopt_late(known))
        self._background.spawn(self._serve_queue())
        self._background.spawn(self._leasing.tend())

    async def close(self) -> None:
        """Let go of everything; run processes go on."""
        await self._background.close()
        self._supervisor.close()
        self._leasing.close()
        self._folder.close()

    @property
    def at_work(self) -> list[str]:
        """The ids of the runs that have a keeper."""
        return self._supervisor.at_work

    async def submit(self, resolved: ResolvedRun) -> Run:
        """Take a run into the queue. QueueFullError, ConfigError when its folder cannot be made, or it wants a pool and
        there is none."""
        self._leasing.check(resolved.config.placement)
        if (await asyncio.to_thread(self.store.counts))[State.PENDING] >= self._max_queued:
            raise QueueFullError(f"{self._max_queued} runs are waiting; stop one, or come again later")
        run = await asyncio.to_thread(self._create, resolved)
        self._changed.set()
        return run

    async def get(self, run_id: str) -> Run:
        """The run as it is known. NoSuchRunError."""
        run = await asyncio.to_thread(self.store.get, run_id)
        if run is None:
            raise NoSuchRunError(f"no run has the id {run_id!r}; GET /api/v1/runs lists those there are")
        return run

    async def stop(self, run_id: str) -> Run:
        """Take a run out of the queue, or have its run process end it after this slot. WrongStateError if it has ended."""
        if await asyncio.to_thread(self.store.move, run_id, State.STOPPED, since=[State.PENDING]):
            self._leasing.end(run_id)
            await asyncio.to_thread(set_folder_state, (await self.get(run_id)).folder, RunStatus(State.STOPPED))
        else:
            await asyncio.to_thread(self.store.move, run_id, State.STOPPING)
            await self._in_state(run_id, "stopped", State.STOPPING)
            self._supervisor.stop(run_id)
        return await self.get(run_id)

    async def pause(self, run_id: str) -> Run:
        """Have a run hold between two slots. WrongStateError unless it is RUNNING, or PAUSED already."""
        await self._in_state(run_id, "paused", State.RUNNING, State.PAUSED)
        self._supervisor.tell(run_id, signal.SIGUSR1)
        return await self.get(run_id)

    async def resume(self, run_id: str) -> Run:
        """Have a run go on. WrongStateError unless it is PAUSED, or RUNNING already."""
        await self._in_state(run_id, "resumed", State.RUNNING, State.PAUSED)
        self._supervisor.tell(run_id, signal.SIGUSR2)
        return await self.get(run_id)

    async def remove(self, run_id: str) -> None:
        """Forget a run that has ended, its folder included. WrongStateError if it has not."""
        run = await self._in_state(run_id, "deleted", *ENDS)
        if await asyncio.to_thread(self.store.remove, run_id):
            await asyncio.to_thread(shutil.rmtree, run.folder)

    # inside

    def _create(self, resolved: ResolvedRun) -> Run:
        config = resolved.config.model_copy(update={"out": str(self.data / _RUNS)})
        folder = RunWriter.create(replace(resolved, config=config), command=["airtoll serve"]).folder
        run = Run(
            id=folder.meta.run_id,
            world=config.world.name,
            scheme=config.scheme.name,
            seed=config.seed,
            slots=resolved.plan.slots,
            config=as_mapping(config),
            folder=folder.path,
            created=datetime.now(UTC),
        )
        try:
            self.store.add(run)
        except Exception:
            shutil.rmtree(folder.path)
            raise
        return run

    async def _in_state(self, run_id: str, what: str, *states: State) -> Run:
        run = await self.get(run_id)
        if run.state not in states:
            allowed = ", ".join(state.value for state in State if state in states)
            raise WrongStateError(f"a run that is {run.state.value} cannot be {what}: it must be {allowed}")
        return run

    async def _serve_queue(self) -> None:
        """Start what waits, whenever there is room."""
        while True:
            self._changed.clear()
            waiting = await retry_while_unavailable(self.store.waiting) if len(self.at_work) < self.at_once else []
            for run in waiting:
                if len(self.at_work) >= self.at_once:
                    break
                if await self._leasing.has_room(run) and (begun := await self._begun(run)):
                    self._supervisor.keep(begun)
            await self._changed.wait()

    async def _begun(self, run: Run) -> Run | None:
        """The run at work; None if it was stopped, or deleted, while it waited."""
        await retry_while_unavailable(self.store.move, run.id, State.RUNNING, since=[State.PENDING])
        begun = await retry_while_unavailable(self.store.get, run.id)
        return begun if begun is not None and begun.state in AT_WORK else None

    async def _explain(self, run_id: str, reason: str) -> None:
        await retry_while_unavailable(self.store.explain, run_id, reason)
