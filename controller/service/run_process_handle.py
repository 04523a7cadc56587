"""Run processes' processes, seen from the service: started, found again, told, waited for.

A run process is held by a pidfd, which never comes to mean another process.
"""

import asyncio
import fcntl
import os
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
    """A run process that was alive a moment ago."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._pidfd = os.pidfd_open(pid)

    @classmethod
    def start(cls, folder: Path, *words: str) -> "RunProcessHandle":
        """A new run process for the run of a folder, in a session of its own. OSError if the machine has no room for it.

        What it is told before it can hear waits until it does.
        """
        log = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        pid = os.posix_spawn(
            sys.executable,
            [sys.executable, "-m", "controller.run_process", str(folder), *words],
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

    @classmethod
    def find(cls, folder: Path) -> "RunProcessHandle | None":
        """The run process at work in a folder; None if there is none."""
        pid = _holder(folder / LOCK)
        if pid is None:
            return None
        try:
            found = cls(pid)
        except ProcessLookupError:
            return None
        if _holder(folder / LOCK) == pid:  # still: so the pidfd is its own
            return found
        found.close()
        return None

    @staticmethod
    def stand_in(folder: Path, end: RunStatus) -> bool:
        """Say in place of a run process that is gone how its run ended: none that comes later will begin. False while there
        is a keeper."""
        with (folder / LOCK).open("a+b") as lock:
            try:
                fcntl.lockf(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            end.write(folder)
        return True

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal; nothing if it is gone."""
        try:
            signal.pidfd_send_signal(self._pidfd, number)
        except ProcessLookupError:
            return

    def kill(self) -> None:
        """End it, and all its processes: they are of the group that it leads."""
        with suppress(ProcessLookupError):
            if os.getpgid(self.pid) == self.pid and not self._ended:  # so the number is its own
                os.killpg(self.pid, signal.SIGKILL)
        self.tell(signal.SIGKILL)

    @property
    def _ended(self) -> bool:
        poll = select.poll()
        poll.register(self._pidfd, select.POLLIN)
        return bool(poll.poll(0))

    async def gone(self, *, within_s: float) -> bool:
        """Whether it has ended by then."""
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
        """Of a run process that has ended; negative for a signal, None for one that this process has not started."""
        try:
            told = os.waitid(os.P_PIDFD, self._pidfd, os.WEXITED | os.WNOHANG)
        except ChildProcessError:
            return None
        if told is None:
            return None
        return told.si_status if told.si_code == os.CLD_EXITED else -told.si_status

    def close(self) -> None:
        """Let go of it; it goes on."""
        os.close(self._pidfd)


def _holder(lock: Path) -> int | None:
    """The process that has locked a file."""
    try:
        with lock.open("r+b") as stream:
            asked = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(stream, fcntl.F_GETLK, asked))
    except FileNotFoundError:
        return None
    return None if kind == fcntl.F_UNLCK else pid
