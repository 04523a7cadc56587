"""The service's background tasks, which live as long as it does, and retries while the database is unavailable."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, ParamSpec, TypeVar

from controller.run_folder.files import is_transient
from controller.service.limits import MAX_TASK_BACKOFF_S, MIN_TASK_BACKOFF_S, STORE_RETRY_S
from controller.service.store import StoreGoneError

_LOG = logging.getLogger("airtoll")
_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True)
class _Failure:
    """Why a task failed last. `healthy_at`: when its present attempt has lasted long enough; None while it pauses."""

    error: str
    healthy_at: float | None = None


class Background:
    """The tasks of one service, each with a name. One that fails is logged and begun again after a pause, which doubles
    from failure to failure; the others continue. `failing` shows it until it works again."""

    def __init__(self, min_backoff_s: float = MIN_TASK_BACKOFF_S) -> None:
        self._min_backoff_s = min_backoff_s
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures: dict[str, _Failure] = {}
        self._closed = False

    @property
    def failing(self) -> dict[str, str]:
        """The error of each task that does not work at present, by the task's name."""
        now = asyncio.get_running_loop().time()
        return {
            name: failure.error
            for name, failure in self._failures.items()
            if failure.healthy_at is None or failure.healthy_at > now
        }

    def spawn(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start a task, which calls `work` until it returns without an error."""
        task = asyncio.create_task(self._supervise(name, work), name=name)
        self._tasks.add(task)
        task.add_done_callback(partial(self._done, name))

    async def close(self) -> None:
        """Cancel all tasks."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _supervise(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        loop = asyncio.get_running_loop()
        pause_s = self._min_backoff_s
        while True:
            began = loop.time()
            try:
                await work()
            except Exception as error:
                if loop.time() - began > MAX_TASK_BACKOFF_S:
                    pause_s = self._min_backoff_s
                if is_transient(error):
                    _LOG.warning("%s: %s; next attempt in %g s", name, error, pause_s)
                else:
                    _LOG.error("%s failed; next attempt in %g s", name, pause_s, exc_info=error)
                self._failures[name] = _Failure(f"{type(error).__name__}: {error}")
            else:
                self._failures.pop(name, None)
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, MAX_TASK_BACKOFF_S)
            self._failures[name] = _Failure(self._failures[name].error, loop.time() + pause_s)

    def _done(self, name: str, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if task.cancelled() and not self._closed:  # by nobody that we know: nothing else ends it
            _LOG.error("%s was cancelled", name)
            self._failures[name] = _Failure("it was cancelled")


async def retry_while_unavailable(call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call the store in a thread; repeat the call until the database answers."""
    while True:
        try:
            return await asyncio.to_thread(call, *args, **kwargs)
        except StoreGoneError as error:
            _LOG.warning("%s; next attempt in %g s", error, STORE_RETRY_S)
            await asyncio.sleep(STORE_RETRY_S)
