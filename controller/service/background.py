"""The service's background tasks, which end with it, and retries while the database is unavailable."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from controller.service.limits import STORE_RETRY_S
from controller.service.store import StoreGoneError

_LOG = logging.getLogger("airtoll")
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Background:
    """The tasks of one service. A task that fails is logged; the others continue."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Start a task."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def close(self) -> None:
        """Cancel all tasks."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _LOG.error("a background task of the service failed", exc_info=error)


async def retry_while_unavailable(call: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call the store in a thread; repeat the call until the database answers."""
    while True:
        try:
            return await asyncio.to_thread(call, *args, **kwargs)
        except StoreGoneError as error:
            _LOG.warning("%s; next attempt in %g s", error, STORE_RETRY_S)
            await asyncio.sleep(STORE_RETRY_S)
