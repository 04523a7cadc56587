"""Supervises the active runs: starts their run processes, follows them, and records how their runs end."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from controller.execution.local_machine import cause
from controller.run_folder.reader import RunFolder
from controller.run_folder.status import ALREADY_RUNNING, FINAL_STATES, RunStatus, State
from controller.run_folder.writer import set_state
from controller.service.background import Background, retry_while_unavailable
from controller.service.leasing import Leasing
from controller.service.limits import END_TIMEOUT_FACTOR, STATUS_POLL_S, STORE_RETRY_S
from controller.service.run_process_handle import RunProcessHandle
from controller.service.settings import ServiceSettings
from controller.service.store import Run, RunResults, Store


class RunSupervisor:
    """Starts run processes, finds those that an earlier service started, and follows them.

    `ended` is called when a run has ended.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        store: Store,
        leasing: Leasing,
        background: Background,
        *,
        ended: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._store = store
        self._leasing = leasing
        self._background = background
        self._ended = ended
        self._stopping: dict[str, float] = {}  # since when, on the monotonic clock
        self._killed: set[str] = set()
        self._resumed_at: dict[str, int] = {}  # the checkpoint's slot
        self._processes: dict[str, RunProcessHandle] = {}

    @property
    def at_work(self) -> list[str]:
        """The ids of the runs that have a run process."""
        return list(self._processes)

    def send_signal(self, run_id: str, number: signal.Signals) -> None:
        """Send a run's run process a signal, if it has one."""
        if process := self._processes.get(run_id):
            process.send_signal(number)

    def stop(self, run_id: str) -> None:
        """Stop a run after the current slot; its run process is killed if it does not."""
        self.send_signal(run_id, signal.SIGINT)
        self._stopping.setdefault(run_id, time.monotonic())

    def close(self) -> None:
        """Release the run processes, which continue."""
        for process in self._processes.values():
            process.close()

    async def adopt_all(self, known: frozenset[str] = frozenset()) -> frozenset[str]:
        """Adopt the active runs that are not `known`; the ids of all active runs."""
        runs = await retry_while_unavailable(self._store.at_work)
        for run in runs:
            if run.id not in known and run.id not in self._processes:
                self._adopt(run)
        return known | {run.id for run in runs}

    async def adopt_late(self, known: frozenset[str]) -> None:
        """Search again for active runs: the last writes of an earlier service may have reached the database late."""
        await asyncio.sleep(STORE_RETRY_S)
        await self.adopt_all(known)

    def start(self, run: Run) -> None:
        """Start a run process for an active run."""
        self._leasing.begin(run)
        try:
            process = RunProcessHandle.start(run.folder, *self._leasing.run_process_arguments)
        except OSError as error:
            self._background.spawn(self._record_end(run, f"no run process can be started: {error}"))
        else:
            process.limit_memory(self._settings.run_memory_bytes)
            self._follow(run, process)

    def _adopt(self, run: Run) -> None:
        """Take over a run that was active when an earlier service ended."""
        process = RunProcessHandle.find(run.folder)
        if process is not None:
            self._follow(run, process)
        elif RunStatus.read(run.folder) is None:
            self.start(run)  # its run process had not started; if it does later, it finds the lock taken and exits
        else:
            reason = "its run process died without reporting an end, while no service was running"
            self._background.spawn(self._record_end(run, reason))

    def _follow(self, run: Run, process: RunProcessHandle) -> None:
        self._processes[run.id] = process
        self._background.spawn(self._until_the_end(run, process))

    async def _until_the_end(self, run: Run, process: RunProcessHandle) -> None:
        """Copy a run process's status into the store until it ends, and record how the run ended."""
        match await retry_while_unavailable(self._state, run.id):
            case State.STOPPING:  # requested before there was a process to signal
                self.stop(run.id)
            case State.PAUSED:  # the run process before this one was lost during the pause
                process.send_signal(signal.SIGUSR1)
            case _:
                pass
        while not await process.gone(within_s=STATUS_POLL_S):
            await self._poll(run, process)
        code = process.exit_code()
        died = "" if code is None else f" ({cause(code)})"
        other = RunProcessHandle.find(run.folder) if code == ALREADY_RUNNING else None
        if other is not None:
            self._follow(run, other)
        else:
            await self._record_end(
                run,
                f"its run process died without reporting an end{died}; see run_process.log",
            )
        if self._processes[run.id] is process:
            del self._processes[run.id]
            self._stopping.pop(run.id, None)
            self._killed.discard(run.id)
        process.close()

    async def _poll(self, run: Run, process: RunProcessHandle) -> None:
        """Copy the status once; kill the process if it does not stop in time."""
        status = await asyncio.to_thread(RunStatus.read, run.folder)
        if status is not None and status.state not in FINAL_STATES:
            await retry_while_unavailable(self._store.move, run.id, status.state)
            await self._leasing.update_demand(run, status)
        if self._is_unresponsive(run, status):
            self._killed.add(run.id)
            process.kill()

    def _is_unresponsive(self, run: Run, status: RunStatus | None) -> bool:
        """Whether a run process has had long enough to stop its run."""
        confirmed = status is not None and status.state in (State.STOPPING, *FINAL_STATES)
        timeout_s = self._settings.stop_timeout_s * (END_TIMEOUT_FACTOR if confirmed else 1)
        now = time.monotonic()
        return now - self._stopping.get(run.id, now) > timeout_s

    async def _record_end(self, run: Run, reason: str) -> None:
        """Record how a run ended whose run process is gone, or resume it from a checkpoint if the process was lost.

        `reason`: why, if the run process reported no end.
        """
        status = await asyncio.to_thread(RunStatus.read, run.folder)
        if status is None or status.state not in FINAL_STATES:
            if self._settings.resume_lost and await self._can_resume(run):
                self.start(run)
                return
            status = RunStatus(State.FAILED, status.slot if status else 0, reason)
            if run.id in self._killed:
                killed = "its run process did not stop in time and was killed: there is no summary"
                status = RunStatus(State.STOPPED, status.slot, killed)
            if not RunProcessHandle.write_final_status(run.folder, status):
                self.start(
                    run
                )  # a run process that started late is alive after all; the second one exits, and the first is followed
                return
        self._leasing.end(run.id)
        await asyncio.to_thread(write_folder_state, run.folder, status)
        results = await asyncio.to_thread(_results, run.folder, status)
        await retry_while_unavailable(self._store.move, run.id, status.state, results=results)
        self._ended()

    async def _can_resume(self, run: Run) -> bool:
        """Whether a lost run, unless it was to stop, has a checkpoint later than the one it was last resumed from."""
        if await retry_while_unavailable(self._state, run.id) is State.STOPPING:
            return False
        slot = await asyncio.to_thread(_newest_checkpoint, run.folder)
        if slot is None or slot <= self._resumed_at.get(run.id, -1):
            return False
        self._resumed_at[run.id] = slot
        return True

    def _state(self, run_id: str) -> State | None:
        run = self._store.get(run_id)
        return None if run is None else run.state


def _newest_checkpoint(path: Path) -> int | None:
    """The slot of a lost run's newest checkpoint; None if there is none, or if the run itself has succeeded."""
    with suppress(ValueError):
        folder = RunFolder.open(path)
        if folder.meta.state is not State.SUCCEEDED:
            return next(iter(folder.checkpoints.slots), None)
    return None


def write_folder_state(path: Path, status: RunStatus) -> None:
    """Write the end of a run into its folder's meta data, unless its run process has written one."""
    with suppress(ValueError):
        folder = RunFolder.open(path)
        if folder.meta.state not in FINAL_STATES:
            set_state(path, status.state, status.reason)


def _results(folder: Path, status: RunStatus) -> RunResults:
    """What the index stores of an ended run; a run that was cut off has no summary."""
    summary: dict[str, Any] = {}
    with suppress(ValueError):
        summary = RunFolder.open(folder).summary
    return RunResults(
        reason=status.reason,
        slot=status.slot,
        metrics=summary.get("metrics", {}),
        trace_digest=summary.get("trace_digest", ""),
    )
