"""The process that checks configurations: it gives way to runs, is replaced when it dies, and keeps nobody waiting."""

import asyncio
import fcntl
import json
import os
import resource
import signal
import sys
import termios
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from controller.api.config_worker import ConfigWorker, ConfigWorkerError
from controller.config.errors import ConfigError
from controller.config.formats import FormatError
from tests.system.service import CELL

BODY = json.dumps(CELL).encode()


def _with_worker(check: Callable[[ConfigWorker, psutil.Process], Awaitable[None]]) -> None:
    """Call `check` with a worker that has checked one configuration, and its process."""

    async def play() -> None:
        known = set(psutil.Process().children())
        worker = ConfigWorker(2**30, Path("runs"))
        assert (await worker.resolve(BODY, is_yaml=False)).agents == 3
        (process,) = set(psutil.Process().children()) - known
        await check(worker, process)

    asyncio.run(play())


def _unread_bytes(process: psutil.Process) -> int:
    """What waits in the pipe to the process."""
    descriptor = os.open(f"/proc/{process.pid}/fd/0", os.O_RDONLY | os.O_NONBLOCK)
    try:
        return int.from_bytes(fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)), sys.byteorder)
    finally:
        os.close(descriptor)


def test_it_gives_way_to_everything_else_and_has_little_memory() -> None:
    async def check(worker: ConfigWorker, process: psutil.Process) -> None:
        assert os.getpriority(os.PRIO_PROCESS, process.pid) == max(10, os.getpriority(os.PRIO_PROCESS, 0))
        assert resource.prlimit(process.pid, resource.RLIMIT_DATA)[0] == 2**30
        assert os.getsid(process.pid) == process.pid

    _with_worker(check)


def test_what_it_rejects_is_raised_here() -> None:
    async def check(worker: ConfigWorker, process: psutil.Process) -> None:
        with pytest.raises(FormatError, match="line 1: Expecting property name"):
            await worker.resolve(b"{]", is_yaml=False)
        with pytest.raises(FormatError, match="not UTF-8"):
            await worker.resolve(b"\xff", is_yaml=True)
        with pytest.raises(ConfigError, match=r"world\.name: no world named 'moon'"):
            await worker.resolve(b"world: moon", is_yaml=True)

    _with_worker(check)


def test_one_that_dies_is_replaced() -> None:
    async def check(worker: ConfigWorker, process: psutil.Process) -> None:
        process.suspend()
        checking = asyncio.create_task(worker.resolve(BODY, is_yaml=False))
        async with asyncio.timeout(60):
            while not _unread_bytes(process):
                await asyncio.sleep(0)
        process.kill()
        with pytest.raises(ConfigWorkerError, match="the process that checked the configuration died; send it again"):
            await checking
        assert (await worker.resolve(BODY, is_yaml=False)).agents == 3

    _with_worker(check)


def test_no_more_than_sixteen_wait() -> None:
    async def check(worker: ConfigWorker, process: psutil.Process) -> None:
        process.send_signal(signal.SIGSTOP)
        checking = [asyncio.create_task(worker.resolve(BODY, is_yaml=False)) for _ in range(16)]
        await asyncio.sleep(0)
        with pytest.raises(ConfigWorkerError, match="16 configurations are waiting to be checked; try again later"):
            await worker.resolve(BODY, is_yaml=False)
        process.send_signal(signal.SIGCONT)
        assert [resolved.agents for resolved in await asyncio.gather(*checking)] == [3] * 16

    _with_worker(check)
