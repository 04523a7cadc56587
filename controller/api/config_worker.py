"""The process that checks submitted configurations, so that no text of a client takes time from runs or requests."""

import asyncio
import os
import resource
from contextlib import suppress
from functools import partial
from pathlib import Path

from anyio import BrokenWorkerProcess, to_process

from controller.config.catalogue import schemes, worlds
from controller.config.resolved import ResolvedRun
from controller.config.submission import resolve_submission

_MAX_WAITING = 16
_TIMEOUT_S = 60.0  # of one check: a machine that runs keep busy leaves this process little
_MAX_MEMORY_BYTES = 2**30
_NICE = 10  # a tenth of the share of a run's process; with 19 a busy machine would answer after minutes


class ConfigWorkerError(Exception):
    """The configuration could not be checked now."""


class ConfigWorker:
    """Checks configurations one at a time, in a process that starts with the first of them.

    `max_run_memory_bytes`: what the controller allows a run. `runs`: the folder of its runs.
    """

    def __init__(self, max_run_memory_bytes: int, runs: Path) -> None:
        self._max_run_memory_bytes = max_run_memory_bytes
        self._runs = runs
        self._one_at_a_time = asyncio.Lock()
        self._waiting = 0

    async def resolve(self, body: bytes, *, is_yaml: bool) -> ResolvedRun:
        """The run that the body of a request describes. FormatError, ConfigError; ConfigWorkerError when too many
        configurations wait, or when the process died or took too long, after which the next one gets a new process."""
        if self._waiting >= _MAX_WAITING:
            raise ConfigWorkerError(f"{_MAX_WAITING} configurations are waiting to be checked; try again later")
        self._waiting += 1
        try:
            async with self._one_at_a_time, asyncio.timeout(_TIMEOUT_S):
                work = partial(
                    _resolve, body, is_yaml=is_yaml, max_memory_bytes=self._max_run_memory_bytes, runs=self._runs
                )
                return await to_process.run_sync(work, cancellable=True)
        except TimeoutError as error:
            raise ConfigWorkerError(f"the configuration was not checked within {_TIMEOUT_S:g} s") from error
        except BrokenWorkerProcess as error:
            raise ConfigWorkerError("the process that checked the configuration died; send it again") from error
        finally:
            self._waiting -= 1


def _resolve(body: bytes, *, is_yaml: bool, max_memory_bytes: int, runs: Path) -> ResolvedRun:
    """In the worker process."""
    _lower_priority()
    return resolve_submission(body, is_yaml=is_yaml, max_memory_bytes=max_memory_bytes, runs=runs)


def _lower_priority() -> None:
    """From now on take what processor time runs leave, and little memory."""
    if os.getsid(0) == os.getpid():  # it did so for an earlier configuration
        return
    os.setsid()  # Ctrl-C in the controller's terminal is the controller's
    worlds(), schemes()  # imported before, so that the first client does not wait for it
    os.setpriority(os.PRIO_PROCESS, 0, max(_NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    resource.setrlimit(resource.RLIMIT_DATA, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    # Linux may share processors by session first: there the priority within a session counts for nothing
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(f"{_NICE}\n")
