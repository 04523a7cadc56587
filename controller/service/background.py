"""What the service does by itself, in the background: tasks that end with it, and timeout with an absent store."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

from controller.service.store import StoreGoneError

ASK_AGAIN_S = 1.0  # a store that does not answer
_LOG = logging.getLogger("airtoll")
_P = ParamSpec("_P")
_T = TypeVar("_T")


class Background:
    """Tasks of one service. One that fails is no reason to lose the others: it is logged."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do this meanwhile."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def close(self) -> None:
        """Break everything off."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _LOG.error("the controller's service", exc_info=error)


async def retry_while_unavailable(ask: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Ask the store, in a thread, until it answers."""
    while True:
        try:
            return await asyncio.to_thread(ask, *args, **kwargs)
        except StoreGoneError as error:
            _LOG.warning("%s; asked again in %g s", error, ASK_AGAIN_S)
            await asyncio.sleep(ASK_AGAIN_S)
