"""Follows one active run: from its run process, found or started, to the record of its end."""

import asyncio
import logging
import signal
from contextlib import suppress

from controller.execution.local_machine import cause
from controller.run_folder.files import DamagedFileError, is_transient
from controller.run_folder.status import ALREADY_RUNNING, FINAL_STATES, RunStatus, State
from controller.service import endings
from controller.service.background import retry_while_unavailable
from controller.service.endings import Ending
from controller.service.leasing import Leasing
from controller.service.limits import END_TIMEOUT_FACTOR, STATUS_POLL_S
from controller.service.run_process_handle import RunProcessHandle
from controller.service.settings import ServiceSettings
from controller.service.store import Run, RunResults, Store
from protocol.transports.running_time import RunningTime

_DIED = "its run process died without reporting an end"
_LOG = logging.getLogger("airtoll")


class RunFollower:
    """Follows an active run. After an error `follow` is called again: it continues with what it finds."""

    def __init__(self, run: Run, settings: ServiceSettings, store: Store, leasing: Leasing) -> None:
        self._run = run
        self._settings = settings
        self._store = store
        self._leasing = leasing
        self._process: RunProcessHandle | None = None
        self._died = ""  # why there is no run process any more
        self._time = RunningTime()
        self._stopping_since: float | None = None
        self._killed = False
        self._resumed_at = -1  # the checkpoint's slot

    def send_signal(self, number: signal.Signals) -> None:
        """Send the run process a signal, if there is one."""
        if self._process is not None:
            self._process.send_signal(number)

    def stop(self) -> None:
        """Stop the run after the current slot; its run process is killed if it does not."""
        self.send_signal(signal.SIGINT)
        self._stopping_since = self._stopping_since or self._time.now()

    def close(self) -> None:
        """Release the run process, which continues."""
        if self._process is not None:
            self._process.close()
            self._process = None

    async def follow(self) -> None:
        """Follow the run until the index has its end."""
        while True:
            if self._process is None and not self._died:
                self._find_or_start()
            if self._process is not None:
                await self._until_gone(self._process)
            if self._died and await self._record_end():
                return

    def _find_or_start(self) -> None:
        """The run process that an earlier service started, or a new one for a run that never had one."""
        folder = self._run.folder
        self._process = RunProcessHandle.find(folder)
        if self._process is not None:
            return
        if not folder.is_dir():
            self._died = f"its folder is gone: {folder}"
        elif endings.started(folder):
            self._died = f"{_DIED}, while no service was running"
        else:  # if its first run process begins late after all, it finds the lock taken and exits
            self._start()

    def _start(self) -> None:
        """Start a run process. OSError where another attempt may succeed."""
        self._leasing.begin(self._run)
        try:
            self._process = RunProcessHandle.start(self._run.folder, *self._leasing.run_process_arguments)
        except OSError as error:
            if is_transient(error):
                raise
            self._died = f"no run process can be started: {error}"
        else:
            self._process.limit_memory(self._settings.run_memory_bytes)

    async def _until_gone(self, process: RunProcessHandle) -> None:
        """Copy a run process's status into the store until it ends."""
        match await retry_while_unavailable(self._state):
            case State.STOPPING:  # requested before there was a process to signal
                self.stop()
            case State.PAUSED:  # the run process before this one was lost during the pause
                process.send_signal(signal.SIGUSR1)
            case _:
                pass
        while not await process.gone(within_s=STATUS_POLL_S):
            await self._poll(process)
        code = process.exit_code()
        self.close()
        if code != ALREADY_RUNNING:  # else another run process has the folder: it is followed next
            self._died = _DIED + ("" if code is None else f" ({cause(code)})") + "; see run_process.log"

    async def _poll(self, process: RunProcessHandle) -> None:
        """Copy the status once; kill the process if it does not stop in time."""
        status = None
        with suppress(DamagedFileError):  # the run process replaces it with its next one
            status = await asyncio.to_thread(RunStatus.read, self._run.folder)
        if status is not None and status.state not in FINAL_STATES:
            await retry_while_unavailable(self._store.move, self._run.id, status.state)
            await self._leasing.update_demand(self._run, status)
        if self._is_unresponsive(status):
            self._killed = True
            process.kill()

    def _is_unresponsive(self, status: RunStatus | None) -> bool:
        """Whether a run process has had long enough to stop its run."""
        confirmed = status is not None and status.state in (State.STOPPING, *FINAL_STATES)
        timeout_s = self._settings.stop_timeout_s * (END_TIMEOUT_FACTOR if confirmed else 1)
        return self._stopping_since is not None and self._time.now() - self._stopping_since > timeout_s

    async def _record_end(self) -> bool:
        """Record how the run ended, or resume it from a checkpoint if its process was lost; whether it is recorded."""
        if self._settings.resume_lost and await self._resumed():
            return False
        ending = await self._ending()
        if ending is None:
            self._died = ""  # a run process that started late is alive after all: it is followed next
            return False
        self._leasing.end(self._run.id)
        try:
            await self._store_end(ending)
        except Exception as error:  # of its results: the run alone fails
            _LOG.error("the end of %s cannot be recorded as it is", self._run.id, exc_info=error)
            await self._store_end(_failed(f"its results cannot be recorded: {error}"))
        return True

    async def _ending(self) -> Ending | None:
        folder = self._run.folder
        try:
            return await asyncio.to_thread(endings.end, folder, self._died, killed=self._killed)
        except Exception as error:
            if is_transient(error):
                raise
            _LOG.error("the end of %s cannot be read from its folder", self._run.id, exc_info=error)
            return _failed(f"{self._died}; its end cannot be read: {error}")

    async def _store_end(self, ending: Ending) -> None:
        await retry_while_unavailable(self._store.move, self._run.id, ending.state, results=ending.results)

    async def _resumed(self) -> bool:
        """Whether a lost run continues: it was not to stop, and has a later checkpoint than it last resumed from."""
        if await asyncio.to_thread(endings.ended, self._run.folder):
            return False
        if await retry_while_unavailable(self._state) not in (State.RUNNING, State.PAUSED):
            return False
        slot = await asyncio.to_thread(endings.newest_checkpoint, self._run.folder)
        if slot is None or slot <= self._resumed_at:
            return False
        self._died = ""
        self._start()
        self._resumed_at = slot
        return True

    def _state(self) -> State | None:
        run = self._store.get(self._run.id)
        return None if run is None else run.state


def _failed(reason: str) -> Ending:
    return Ending(State.FAILED, RunResults(reason=reason))
