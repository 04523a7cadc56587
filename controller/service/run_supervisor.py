"""The runs at work: each has a run process, which is followed to its end; then what became of the run is written down."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from controller.run_folder.reader import RunFolder
from controller.run_folder.status import ENDS, TAKEN, RunStatus, State
from controller.run_folder.writer import set_state
from controller.service.background import ASK_AGAIN_S, Background, retry_while_unavailable
from controller.service.leasing import Leasing
from controller.service.run_process_handle import RunProcessHandle
from controller.service.store import Results, Run, Store

POLL_INTERVAL_S = 0.25
_STOP_TIMEOUTS_TO_END = 20  # what a run leaves behind is summed up when it ends


class RunSupervisor:
    """Starts run processes, finds those that a service before this one started, follows them.

    `resume_lost`: a run whose run process is lost goes on from its newest checkpoint, if it has a new one each time.
    `stop_timeout_s`: a run process that has not heard by then that its run shall stop is killed, and one that has heard it and does
    not end within twenty times as long. `ended` is called when one has.
    """

    def __init__(
        self,
        store: Store,
        leasing: Leasing,
        background: Background,
        *,
        resume_lost: bool,
        stop_timeout_s: float,
        ended: Callable[[], None],
    ) -> None:
        self._store = store
        self._leasing = leasing
        self._background = background
        self._resume_lost = resume_lost
        self._stop_timeout_s = stop_timeout_s
        self._ended = ended
        self._stopping: dict[str, float] = {}  # since when, on the monotonic clock
        self._killed: set[str] = set()
        self._resumed_at: dict[str, int] = {}  # the checkpoint's slot
        self._processes: dict[str, RunProcessHandle] = {}

    @property
    def at_work(self) -> list[str]:
        """The ids of the runs that have a keeper."""
        return list(self._processes)

    def tell(self, run_id: str, number: signal.Signals) -> None:
        """Send a run's run process a signal, if it has one."""
        if process := self._processes.get(run_id):
            process.tell(number)

    def stop(self, run_id: str) -> None:
        """Have a run's run process end it after this slot; from now on it had better."""
        self.tell(run_id, signal.SIGINT)
        self._stopping.setdefault(run_id, time.monotonic())

    def close(self) -> None:
        """Let go of the run processes, which go on."""
        for process in self._processes.values():
            process.close()

    async def adopt_all(self, known: frozenset[str] = frozenset()) -> frozenset[str]:
        """Take over the runs that are at work and not known; the ids of all of them."""
        runs = await retry_while_unavailable(self._store.at_work)
        for run in runs:
            if run.id not in known and run.id not in self._processes:
                self._adopt(run)
        return known | {run.id for run in runs}

    async def adopt_late(self, known: frozenset[str]) -> None:
        """What the service before this one said last may have reached the database after this one looked."""
        await asyncio.sleep(ASK_AGAIN_S)
        await self.adopt_all(known)

    def keep(self, run: Run) -> None:
        """Give a run at work to a keeper."""
        self._leasing.begin(run)
        try:
            process = RunProcessHandle.start(run.folder, *self._leasing.words)
        except OSError as error:
            self._background.spawn(self._settle(run, f"no run process can be started: {error}"))
        else:
            self._follow(run, process)

    def _adopt(self, run: Run) -> None:
        """A run that was at work when the service before this one ended."""
        process = RunProcessHandle.find(run.folder)
        if process is not None:
            self._follow(run, process)
        elif RunStatus.read(run.folder) is None:
            self.keep(run)  # its run process had not begun, and will find that it is not needed if it ever does
        else:
            self._background.spawn(self._settle(run, "its run process ended without a word while no service was there"))

    def _follow(self, run: Run, process: RunProcessHandle) -> None:
        self._processes[run.id] = process
        self._background.spawn(self._until_the_end(run, process))

    async def _until_the_end(self, run: Run, process: RunProcessHandle) -> None:
        """Keep the store up with what a run process says, and write down its end."""
        match await retry_while_unavailable(self._state, run.id):
            case State.STOPPING:  # asked before the run process could be told
                self.stop(run.id)
            case State.PAUSED:  # the run process before this one was lost in the pause
                process.tell(signal.SIGUSR1)
            case _:
                pass
        while not await process.gone(within_s=POLL_INTERVAL_S):
            status = await asyncio.to_thread(RunStatus.read, run.folder)
            if status is not None and status.state not in ENDS:
                await retry_while_unavailable(self._store.move, run.id, status.state)
                await self._leasing.update_demand(run, status)
            if self._is_unresponsive(run, status):
                self._killed.add(run.id)
                process.kill()
        code = process.exit_code()
        other = RunProcessHandle.find(run.folder) if code == TAKEN else None
        if other is not None:
            self._follow(run, other)
        else:
            await self._settle(run, f"its run process ended without a word{_cause(code)}; see run_process.log")
        if self._processes[run.id] is process:
            del self._processes[run.id]
            self._stopping.pop(run.id, None)
            self._killed.discard(run.id)
        process.close()

    def _is_unresponsive(self, run: Run, status: RunStatus | None) -> bool:
        """Whether a run process has had long enough to end its run."""
        heard = status is not None and status.state in (State.STOPPING, *ENDS)
        graces = _STOP_TIMEOUTS_TO_END if heard else 1
        now = time.monotonic()
        return now - self._stopping.get(run.id, now) > graces * self._stop_timeout_s

    async def _settle(self, run: Run, otherwise: str) -> None:
        """Write down how a run ended whose run process is gone; why, if the run process did not say. One that was lost may go on
        from a checkpoint instead."""
        status = await asyncio.to_thread(RunStatus.read, run.folder)
        if status is None or status.state not in ENDS:
            if self._resume_lost and await self._has_got_on(run):
                self.keep(run)
                return
            status = RunStatus(State.FAILED, status.slot if status else 0, otherwise)
            if run.id in self._killed:
                reason = "its run process did not end it in time, and was killed: there is no summary"
                status = RunStatus(State.STOPPED, status.slot, reason)
            if not RunProcessHandle.stand_in(run.folder, status):
                self.keep(run)  # a run process that was long in coming is at work after all, and will be found
                return
        self._leasing.end(run.id)
        await asyncio.to_thread(set_folder_state, run.folder, status)
        results = await asyncio.to_thread(_results, run.folder, status)
        await retry_while_unavailable(self._store.move, run.id, status.state, results=results)
        self._ended()

    async def _has_got_on(self, run: Run) -> bool:
        """Whether a run that is not to stop has a checkpoint to go on from, and not the same as the last time."""
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
    """The slot of a lost run's newest checkpoint; None if there is none, or the run itself is done."""
    with suppress(ValueError):
        folder = RunFolder.open(path)
        if folder.meta.state is not State.SUCCEEDED:
            return next(iter(folder.checkpoints.slots), None)
    return None


def set_folder_state(path: Path, status: RunStatus) -> None:
    """Have the folder say what its run process could not; what it has said of its end stays."""
    with suppress(ValueError):
        folder = RunFolder.open(path)
        if folder.meta.state not in ENDS:
            set_state(path, status.state, status.reason)


def _results(folder: Path, status: RunStatus) -> Results:
    """What the index keeps of a run; a run that was cut off has no summary."""
    summary: dict[str, Any] = {}
    with suppress(ValueError):
        summary = RunFolder.open(folder).summary
    return Results(
        reason=status.reason,
        slot=status.slot,
        metrics=summary.get("metrics", {}),
        trace_digest=summary.get("trace_digest", ""),
    )


def _cause(code: int | None) -> str:
    if code is None:
        return ""
    return f" (signal {-code})" if code < 0 else f" (exit code {code})"
