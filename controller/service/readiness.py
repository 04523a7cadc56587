"""Whether a service can do its work: its tasks live, its store and its data folder can be written."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from controller.service.background import Background
from controller.service.limits import PROBE_EVERY_S
from controller.service.store import Store, StoreGoneError

_LOG = logging.getLogger("airtoll")
_PROBE = ".probe"
_PROBE_BYTES = 1 << 16  # more than what a file system may keep inside an inode


class Readiness:
    """Probes a service's store and data folder by writing to them, at most once a second however many ask."""

    def __init__(self, store: Store, data: Path, background: Background) -> None:
        self._store = store
        self._data = data
        self._background = background
        self._probe: asyncio.Task[str] | None = None
        self._probed_at = 0.0

    async def problem(self) -> str:
        """What keeps the service from its work; "" for nothing. Anybody may read it: the details are in the log."""
        failing = len(self._background.failing)
        tasks = f"background tasks that fail: {failing}; see the controller's log" if failing else ""
        return "; ".join(filter(None, [await self.storage_problem(), tasks]))

    async def storage_problem(self) -> str:
        """Why the store or the data folder cannot be written; "" if both can."""
        now = asyncio.get_running_loop().time()
        if self._probe is None or (self._probe.done() and now - self._probed_at > PROBE_EVERY_S):
            self._probe, self._probed_at = asyncio.create_task(self._probed()), now
        return await asyncio.shield(self._probe)  # a client that disconnects must not cancel what others wait for

    async def _probed(self) -> str:
        for probe in (self._store.write_probe, self._write_file):
            if problem := await asyncio.to_thread(_problem_of, probe):
                return problem
        return ""

    def _write_file(self) -> None:
        probe = self._data / _PROBE
        try:
            probe.write_bytes(bytes(_PROBE_BYTES))
        finally:
            with suppress(OSError):
                probe.unlink()


def _problem_of(probe: Callable[[], None]) -> str:
    try:
        probe()
    except StoreGoneError as error:
        _LOG.warning("not ready: %s", error)
        return "the database cannot be written"
    except OSError as error:
        _LOG.warning("not ready: %s", error)
        return f"the data folder cannot be written: {error.strerror}"
    return ""
