"""Supervises the active runs: a follower for each, until its end is recorded."""

import asyncio
import signal
from collections.abc import Callable

from controller.service.background import Background, retry_while_unavailable
from controller.service.leasing import Leasing
from controller.service.limits import STORE_RETRY_S
from controller.service.run_follower import RunFollower
from controller.service.settings import ServiceSettings
from controller.service.store import Run, Store


class RunSupervisor:
    """Starts runs, and finds those that an earlier service started.

    `ended` is called when a run has ended.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        store: Store,
        leasing: Leasing,
        background: Background,
        *,
        ended: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._store = store
        self._leasing = leasing
        self._background = background
        self._ended = ended
        self._followers: dict[str, RunFollower] = {}

    @property
    def at_work(self) -> list[str]:
        """The ids of the active runs, up to the record of their ends."""
        return list(self._followers)

    def send_signal(self, run_id: str, number: signal.Signals) -> None:
        """Send a run's run process a signal, if it has one."""
        if follower := self._followers.get(run_id):
            follower.send_signal(number)

    def stop(self, run_id: str) -> None:
        """Stop a run after the current slot; its run process is killed if it does not."""
        if follower := self._followers.get(run_id):
            follower.stop()

    def close(self) -> None:
        """Release the run processes, which continue."""
        for follower in self._followers.values():
            follower.close()

    async def adopt_all(self) -> None:
        """Follow the active runs that an earlier service has left."""
        for run in await retry_while_unavailable(self._store.at_work):
            self.start(run)

    async def adopt_late(self) -> None:
        """Search again for active runs: the last writes of an earlier service may have reached the database late."""
        await asyncio.sleep(STORE_RETRY_S)
        await self.adopt_all()

    def start(self, run: Run) -> None:
        """Follow an active run; one without a run process gets one."""
        if run.id not in self._followers:
            follower = self._followers[run.id] = RunFollower(run, self._settings, self._store, self._leasing)
            self._background.spawn(f"the follower of {run.id}", lambda: self._until_the_end(run.id, follower))

    async def _until_the_end(self, run_id: str, follower: RunFollower) -> None:
        await follower.follow()
        del self._followers[run_id]
        self._ended()
