"""Manages runs: queues them, starts a limited number of run processes at a time, and passes users' requests to them.

Everything happens in one event loop; slow calls (files, the store) run in threads. Run processes do not depend on the
service: after a restart it finds those that are alive and follows them.
"""

import asyncio
import logging
import signal
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from shutil import rmtree

from controller.config.resolved import ResolvedRun
from controller.config.run_config import as_mapping
from controller.pool.listener import PoolListener
from controller.run_folder.files import is_transient
from controller.run_folder.status import ACTIVE_STATES, FINAL_STATES, RunStatus, State
from controller.run_folder.writer import RunWriter
from controller.service.background import Background, retry_while_unavailable
from controller.service.data_folder import DataFolder
from controller.service.endings import write_folder_state
from controller.service.leasing import Leasing
from controller.service.limits import CONFIRM_POLL_S, CONFIRM_TIMEOUT_S, STORE_RETRY_S
from controller.service.readiness import Readiness
from controller.service.run_supervisor import RunSupervisor
from controller.service.settings import ServiceSettings
from controller.service.store import Run, RunResults, Store, StoreGoneError
from controller.service.unknown_runs import SERVICE_COMMAND, delete_hidden, hide, import_runs, unknown_runs

LIVE_STATES = (State.RUNNING, State.PAUSED)  # in which a run process executes requests
_STOPPABLE = frozenset(State) - FINAL_STATES
_LOG = logging.getLogger("airtoll")


class NoSuchRunError(LookupError):
    """No run has this id."""


class WrongStateError(Exception):
    """The request is not possible in the run's state."""


class QueueFullError(Exception):
    """The queue is full."""


def _no_such_run(run_id: str) -> NoSuchRunError:
    return NoSuchRunError(f"no run has the id {run_id!r}; GET /api/v2/runs lists all runs")


def wrong_state(run: Run, what: str, allowed: Collection[State]) -> WrongStateError:
    """The error for a run that is in none of the `allowed` states; `what`: the participle of the request."""
    *most, last = (state.value for state in State if state in allowed)
    states = f"{', '.join(most)} or {last}" if most else last
    return WrongStateError(f"a run that is {run.state.value} cannot be {what}: it must be {states}")


class RunManager:
    """Manages the runs whose folders lie in `data`/runs.

    `pool`: the pool of a service that has one, closed with the manager.
    ConfigError if another service uses the folder, the store belongs to another one, or nothing can be imported. While
    the store does not answer, requests raise StoreGoneError; what the manager itself has to write waits.
    """

    def __init__(self, settings: ServiceSettings, store: Store, pool: PoolListener | None = None) -> None:
        self._folder = DataFolder(settings.data)
        try:
            store.belong_to(self._folder.id, self._folder.path)
            import_runs(settings.imports, self.runs_folder)  # `open` finds them there
        except Exception:
            self._folder.close()
            raise
        self.settings = settings
        self.store = store
        self.pool = pool
        self._changed = asyncio.Event()
        self._leasing = Leasing(pool, set_reason=self._set_reason, changed=self._changed.set)
        self._background = Background()
        self.readiness = Readiness(store, self._folder.path, self._background)
        self._supervisor = RunSupervisor(settings, store, self._leasing, self._background, ended=self._changed.set)

    async def open(self) -> None:
        """Adopt the run processes that are alive, and start the queue."""
        await self._index_unknown_runs()
        await self._supervisor.adopt_all()
        self._background.spawn("the search for active runs", self._supervisor.adopt_late)
        self._background.spawn("the queue", self._serve_queue)
        self._background.spawn("the leasing of workers", self._leasing.lease_loop)
        self._background.spawn("the reasons of runs in the pool", self._leasing.reason_loop)

    async def close(self) -> None:
        """Release everything; run processes continue."""
        await self._background.close()
        self._supervisor.close()
        self._leasing.close()
        self._folder.close()

    @property
    def runs_folder(self) -> Path:
        """Where the folders of the runs are."""
        return self._folder.path / "runs"

    async def submit(self, resolved: ResolvedRun) -> Run:
        """Queue a run. QueueFullError; ConfigError when its folder cannot be created, or for a run in the pool of a
        service that has none."""
        self._leasing.check(resolved.config.placement)
        max_queued = self.settings.max_queued
        if (await asyncio.to_thread(self.store.counts))[State.PENDING] >= max_queued:
            raise QueueFullError(f"{max_queued} runs are waiting; stop one, or try again later")
        run = await asyncio.to_thread(self._create, resolved)
        try:
            await asyncio.to_thread(self.store.add, run)
        except Exception as error:
            if isinstance(error, StoreGoneError):  # which may have added it all the same
                withdraw = partial(retry_while_unavailable, self.store.withdraw, run.id)
                self._background.spawn(f"the withdrawal of {run.id}", withdraw)
            await asyncio.to_thread(rmtree, run.folder, ignore_errors=True)
            raise
        self._changed.set()
        return run

    async def get(self, run_id: str) -> Run:
        """The run of this id. NoSuchRunError."""
        return await asyncio.to_thread(self.find, run_id)

    def find(self, run_id: str) -> Run:
        """The run of this id, for a caller in a thread of its own. NoSuchRunError."""
        run = self.store.get(run_id)
        if run is None:
            raise _no_such_run(run_id)
        return run

    async def stop(self, run_id: str) -> Run:
        """Stop a run after its current slot, or remove it from the queue. WrongStateError if it has ended."""
        if await asyncio.to_thread(self.store.move, run_id, State.STOPPED, since=[State.PENDING]):
            self._leasing.end(run_id)
            run = await self.get(run_id)
            await asyncio.to_thread(write_folder_state, run.folder, RunStatus(State.STOPPED))
            return run
        await asyncio.to_thread(self.store.move, run_id, State.STOPPING)
        run = await self.get(run_id)
        if run.state is not State.STOPPING:
            raise wrong_state(run, "stopped", _STOPPABLE)
        self._supervisor.stop(run_id)
        return run

    async def pause(self, run_id: str) -> Run:
        """Pause a run before its next slot. WrongStateError unless it is RUNNING, or PAUSED already.

        Returns the run once it is PAUSED, or as it is after CONFIRM_TIMEOUT_S: in the middle of a long slot, or before
        its first slot, it is RUNNING until the slot ends.
        """
        await self._in_state(run_id, "paused", LIVE_STATES)
        self._supervisor.send_signal(run_id, signal.SIGUSR1)
        return await self._once_not(State.RUNNING, run_id)

    async def resume(self, run_id: str) -> Run:
        """Resume a run. WrongStateError unless it is PAUSED, or RUNNING already.

        Returns the run once it is RUNNING, or as it is after CONFIRM_TIMEOUT_S.
        """
        await self._in_state(run_id, "resumed", LIVE_STATES)
        self._supervisor.send_signal(run_id, signal.SIGUSR2)
        return await self._once_not(State.PAUSED, run_id)

    async def remove(self, run_id: str) -> None:
        """Delete a run that has ended, with its folder. WrongStateError if it has not ended; NoSuchRunError, also for
        the later one of two requests."""
        run = await self._in_state(run_id, "deleted", FINAL_STATES)
        await asyncio.to_thread(hide, run.folder)  # first: a folder without a row would be adopted by the next service
        if not await asyncio.to_thread(self.store.remove, run_id):
            raise _no_such_run(run_id)
        await asyncio.to_thread(delete_hidden, run.folder)

    def _create(self, resolved: ResolvedRun) -> Run:
        config = resolved.config.model_copy(update={"out": str(self.runs_folder)})
        folder = RunWriter.create(replace(resolved, config=config), command=[SERVICE_COMMAND]).folder
        return Run(
            id=folder.meta.run_id,
            world=config.world.name,
            scheme=config.scheme.name,
            seed=config.seed,
            slots=resolved.plan.slots,
            config=as_mapping(config),
            folder=folder.path,
            created=datetime.now(UTC),
        )

    async def _in_state(self, run_id: str, what: str, allowed: Collection[State]) -> Run:
        run = await self.get(run_id)
        if run.state not in allowed:
            raise wrong_state(run, what, allowed)
        return run

    async def _once_not(self, state: State, run_id: str) -> Run:
        """The run once it is in another state than this one, or as it is after CONFIRM_TIMEOUT_S."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + CONFIRM_TIMEOUT_S
        while (run := await self.get(run_id)).state is state and loop.time() < deadline:
            await asyncio.sleep(CONFIRM_POLL_S)
        return run

    async def _serve_queue(self) -> None:
        """Start waiting runs whenever fewer than `at_once` are running."""
        at_once = self.settings.at_once
        while True:
            self._changed.clear()
            has_room = len(self._supervisor.at_work) < at_once
            waiting = await retry_while_unavailable(self.store.waiting) if has_room else []
            if waiting and await self.readiness.storage_problem():  # every run that started would fail
                await asyncio.sleep(STORE_RETRY_S)
                continue
            for run in waiting:
                if len(self._supervisor.at_work) >= at_once:
                    break
                await self._start_if_possible(run)
            await self._changed.wait()

    async def _start_if_possible(self, run: Run) -> None:
        """Start a waiting run that lacks nothing. One that cannot be started fails alone. OSError for what may pass."""
        try:
            if not run.config:
                raise ValueError("its stored configuration is damaged")
            if await self._leasing.can_start(run) and (begun := await self._begin(run)):
                self._supervisor.start(begun)
        except Exception as error:
            if is_transient(error):
                raise
            _LOG.error("%s cannot be started", run.id, exc_info=error)
            end = RunResults(reason=f"it cannot be started: {error}")
            await retry_while_unavailable(self.store.move, run.id, State.FAILED, since=[State.PENDING], results=end)
            self._leasing.end(run.id)
            await asyncio.to_thread(write_folder_state, run.folder, RunStatus(State.FAILED, reason=end.reason))

    async def _begin(self, run: Run) -> Run | None:
        """The run in state RUNNING; None if it was stopped or deleted while it waited."""
        await retry_while_unavailable(self.store.move, run.id, State.RUNNING, since=[State.PENDING])
        begun = await retry_while_unavailable(self.store.get, run.id)
        return begun if begun is not None and begun.state in ACTIVE_STATES else None

    async def _index_unknown_runs(self) -> None:
        """Add the runs of the data folder that the index does not have."""
        known = await retry_while_unavailable(self.store.ids)
        for run in await asyncio.to_thread(lambda: list(unknown_runs(self.runs_folder, known))):
            try:
                await retry_while_unavailable(self._add_if_new, run)
                _LOG.warning("the run %s was not in the index: it is now, as %s", run.id, run.state.value)
            except Exception as error:  # of this run's files; the service starts all the same
                _LOG.error("the run %s cannot be added to the index", run.id, exc_info=error)

    def _add_if_new(self, run: Run) -> None:
        if self.store.get(run.id) is None:
            self.store.add(run)

    async def _set_reason(self, run_id: str, reason: str) -> None:
        await retry_while_unavailable(self.store.set_reason, run_id, reason)
