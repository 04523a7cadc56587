"""Which runs want places of the pool, and what each of them waits for; the owner of runs asks here."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from controller.config.errors import ConfigError, invalid
from controller.config.resolved import capacity_of
from controller.pool.listener import PoolLine
from controller.pool.registry import Demand
from controller.run_folder.meta import RunMeta
from controller.run_folder.status import RunStatus
from controller.service.store import Run

_POLL_INTERVAL_S = 0.1
_NO_POOL = "this controller has no pool: start it with `airtoll serve --pool tcp://127.0.0.1:8771`"
_LOG = logging.getLogger("airtoll")
_SETTLING = "waits for the pool's workers to report"


class Leasing:
    """The runs that want workers. `line`: None for a controller without a pool.

    `explain` writes down what a run waits for; `changed` is called when a run may find room that found none before.
    """

    def __init__(
        self,
        line: PoolLine | None,
        *,
        explain: Callable[[str, str], Awaitable[None]],
        changed: Callable[[], None],
    ) -> None:
        self.line = line
        self._explain = explain
        self._changed = changed
        self._needs: dict[str, Demand] = {}  # as their configurations say
        self._at_work: dict[str, tuple[Run, Demand]] = {}
        self._said: dict[str, str] = {}
        self._saying = asyncio.Lock()
        self._room: object = None

    @property
    def words(self) -> list[str]:
        """What a run process is told of where to listen."""
        if self.line is None:
            return []
        return [str(self.line.ports), *([str(self.line.keys)] if self.line.keys else [])]

    def check(self, placement: str) -> None:
        """ConfigError for a run that would wait for ever."""
        if placement == "pool" and self.line is None:
            raise ConfigError(invalid("placement", placement, _NO_POOL))

    async def has_room(self, run: Run) -> bool:
        """Whether a run that waits can begin; if not, what it lacks is written down. One that can has its places."""
        if run.config["placement"] != "pool":
            return True
        if run.id not in self._needs:
            self._needs[run.id] = await asyncio.to_thread(_demand, run)
        lack = self._lack(self._needs[run.id])
        await self._say(run.id, lack)
        return not lack

    def begin(self, run: Run) -> None:
        """It is at work from now on; its places are kept for it until its run process can be reached. Where a run process before
        it listened is forgotten."""
        status = RunStatus.read(run.folder)
        if status is not None and status.port:
            status._replace(port=0).write(run.folder)
        if run.id in self._needs:
            self._at_work[run.id] = run, self._needs[run.id]

    async def update_demand(self, run: Run, status: RunStatus) -> None:
        """A run's run process says where it listens, or that it needs nobody any more."""
        if status.port:
            if run.id not in self._needs:
                self._needs[run.id] = await asyncio.to_thread(_demand, run)
            self._at_work[run.id] = run, self._needs[run.id]._replace(port=status.port)
        elif run.id in self._at_work and self._at_work[run.id][1].port:
            del self._at_work[run.id]
            await self._say(run.id, "")
            self._changed()

    def end(self, run_id: str) -> None:
        """It needs nothing any more."""
        for known in (self._needs, self._at_work, self._said):
            known.pop(run_id, None)

    async def tend(self) -> None:
        """Lease places to the runs at work as they come free, for ever."""
        while self.line is not None:
            try:
                await self._tend(self.line)
            except Exception as error:  # the store may be away for a while
                _LOG.error("the pool", exc_info=error)
            await asyncio.sleep(_POLL_INTERVAL_S)

    def close(self) -> None:
        """Let go of the workers; those that are leased go on."""
        if self.line is not None:
            self.line.close()

    async def _tend(self, line: PoolLine) -> None:
        line.look()
        for run, wanting in list(self._at_work.values()):
            # Asked after the workers: a run process says that it needs none any more before it sends them back.
            status = await asyncio.to_thread(RunStatus.read, run.folder) if line.pool.lacks(wanting) else None
            if status is not None and run.id in self._at_work:
                await self.update_demand(run, status)
        line.lease(self._ahead)
        if line.settled:
            await self._tell_those_at_work(line)
            await self._tell_those_that_wait(line)
        room = line.room
        if room != self._room:
            self._room = room
            self._changed()

    async def _tell_those_at_work(self, line: PoolLine) -> None:
        for place, wanting in enumerate(ahead := self._ahead):
            if wanting.port:
                await self._say(wanting.run_id, line.pool.shortage(wanting, ahead[:place]))

    async def _tell_those_that_wait(self, line: PoolLine) -> None:
        """Those that lacked something when they could have begun, or still wait for their turn."""
        for run_id, wanting in list(self._needs.items()):
            if self._said.get(run_id) and run_id not in self._at_work:
                await self._say(run_id, line.pool.shortage(wanting, self._ahead))

    @property
    def _ahead(self) -> list[Demand]:
        """The runs at work; what they lack comes first."""
        return [wanting for _, wanting in self._at_work.values()]

    def _lack(self, wanting: Demand) -> str:
        if self.line is None:
            return _NO_POOL
        if not self.line.settled:
            return _SETTLING
        return self.line.pool.shortage(wanting, self._ahead)

    async def _say(self, run_id: str, lack: str) -> None:
        """Written down when it is another than before; of a service before this one something may be left."""
        async with self._saying:
            if self._said.get(run_id) != lack:
                await self._explain(run_id, lack)
                self._said[run_id] = lack


def _demand(run: Run) -> Demand:
    try:
        meta = RunMeta.read(run.folder)
    except ValueError:  # the folder is gone: the run is started without workers, and its run process reports the reason
        return Demand(run.id, capacity_of(0), torch=False)
    return Demand(run.id, capacity_of(meta.agents), torch=meta.agents_learn)
