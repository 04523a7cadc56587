"""Run processes as the service sees them: start one, find one that is alive, send it a signal, wait for its end.

A handle holds a pidfd, which always refers to the same process; the kernel may reuse a process id.
"""

import asyncio
import fcntl
import os
import resource
import select
import signal
import struct
import sys
from contextlib import suppress
from pathlib import Path

from controller.execution.controls import SIGNALS
from controller.run_folder.status import LOCK, RunStatus

_FLOCK = "hhqqi"  # struct flock of 64-bit Linux: type, whence, start, length, pid


class RunProcessHandle:
    """A run process that was alive when the handle was made. ProcessLookupError if it is not."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)

    @classmethod
    def start(cls, folder: Path, *arguments: str) -> "RunProcessHandle":
        """Start a run process for the run of a folder, in its own session. OSError if no process can be started.

        Its signals are blocked until it can handle them, so that none is lost.
        """
        log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "controller.run_process", str(folder), *arguments],
            os.environ,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, str(folder / "run_process.log"), log, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,
            setsigmask=SIGNALS,
        )
        return cls(pid)

    def limit_memory(self, limit_bytes: int) -> None:
        """Let it, and each process that it starts from now on, take no more memory: Python raises MemoryError."""
        with suppress(ProcessLookupError):
            resource.prlimit(self.pid, resource.RLIMIT_DATA, (limit_bytes, limit_bytes))

    @classmethod
    def find(cls, folder: Path) -> "RunProcessHandle | None":
        """The run process that is alive for a folder; None if there is none."""
        pid = _lock_holder(folder / LOCK)
        if pid is None:
            return None
        try:
            found = cls(pid)
        except ProcessLookupError:
            return None
        if (
            _lock_holder(folder / LOCK) == pid
        ):  # it still holds the lock, so the pidfd refers to it and to no later process
            return found
        found.close()
        return None

    @staticmethod
    def write_final_status(folder: Path, end: RunStatus) -> bool:
        """Write the final status of a run whose run process is gone; a run process that starts later exits at once.

        False while a run process is alive.
        """
        with (folder / LOCK).open("a+b") as lock:
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            end.write(folder)
        return True

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal; nothing happens if it is gone."""
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return

    def kill(self) -> None:
        """Kill it and all its processes, which are in the process group that it leads."""
        with suppress(ProcessLookupError):
            if os.getpgid(self.pid) == self.pid and not self._ended:  # not ended, so the pid is still its own
                os.killpg(self.pid, signal.SIGKILL)
        self.send_signal(signal.SIGKILL)

    @property
    def _ended(self) -> bool:
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(0))

    async def gone(self, *, within_s: float) -> bool:
        """Wait for its end; whether it has ended within this time."""
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        loop.add_reader(self._pidfd, ended.set)
        try:
            async with asyncio.timeout(within_s):
                await ended.wait()
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(self._pidfd)
        return True

    def exit_code(self) -> int | None:
        """The exit code of a run process that has ended; negative for a signal, None for one that another service
        started."""
        try:
            result = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return None
        if result is None:
            return None
        return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status

    def close(self) -> None:
        """Release the handle; the run process continues."""
        os.close(self._pidfd)


def _lock_holder(lock: Path) -> int | None:
    """The process that has locked a file."""
    try:
        with lock.open("r+b") as stream:
            request = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(stream, fcntl.F_GETLK, request))
    except FileNotFoundError:
        return None
    return None if kind == fcntl.F_UNLCK else pid
