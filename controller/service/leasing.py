"""Which runs want places of the pool, and what each of them waits for; the owner of runs asks here."""

import asyncio
from collections.abc import Awaitable, Callable

from controller.configuration import load
from controller.faults import ConfigError, not_allowed
from controller.service.pool import Wanting
from controller.service.pool_line import PoolLine
from controller.service.store import Run
from controller.standing import Standing

_LOOK_EVERY_S = 0.1
_NO_POOL = "this controller has no pool: start it with `airtoll serve --pool tcp://0.0.0.0:8771`"
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
        self._needs: dict[str, Wanting] = {}  # as their configurations say
        self._at_work: dict[str, Wanting] = {}
        self._said: dict[str, str] = {}
        self._room: object = None

    @property
    def words(self) -> list[str]:
        """What a keeper is told of where to listen."""
        if self.line is None:
            return []
        return [str(self.line.ports), *([str(self.line.keys)] if self.line.keys else [])]

    def check(self, placement: str) -> None:
        """ConfigError for a run that would wait for ever."""
        if placement == "pool" and self.line is None:
            raise ConfigError(not_allowed("placement", placement, _NO_POOL))

    async def has_room(self, run: Run) -> bool:
        """Whether a run that waits can begin; if not, what it lacks is written down. One that can has its places."""
        if run.config["placement"] != "pool":
            return True
        if run.id not in self._needs:
            self._needs[run.id] = await asyncio.to_thread(_wanting, run)
        lack = self._lack(self._needs[run.id])
        await self._say(run.id, lack)
        return not lack

    def begin(self, run: Run) -> None:
        """It is at work from now on; its places are kept for it until its keeper can be reached."""
        if run.id in self._needs:
            self._at_work[run.id] = self._needs[run.id]

    async def heed(self, run: Run, standing: Standing) -> None:
        """A run's keeper says where it listens."""
        known = self._at_work.get(run.id)
        if standing.port:
            if run.id not in self._needs:
                self._needs[run.id] = await asyncio.to_thread(_wanting, run)
            self._at_work[run.id] = self._needs[run.id]._replace(port=standing.port)
        elif known is not None and known.port:
            del self._at_work[run.id]
            await self._say(run.id, "")
            self._changed()

    def end(self, run: Run) -> None:
        """It needs nothing any more."""
        for kept in (self._needs, self._at_work, self._said):
            kept.pop(run.id, None)

    async def tend(self) -> None:
        """Lease places to the runs at work as they come free, for ever."""
        while self.line is not None:
            self.line.look()
            self.line.lease(self._at_work.values())
            await self._tell_those_at_work()
            room = self.line.room
            if room != self._room:
                self._room = room
                self._changed()
            await asyncio.sleep(_LOOK_EVERY_S)

    def close(self) -> None:
        """Let go of the workers; those that are leased go on."""
        if self.line is not None:
            self.line.close()

    async def _tell_those_at_work(self) -> None:
        if self.line is not None and self.line.settled:
            ahead: list[Wanting] = []
            for wanting in list(self._at_work.values()):
                if wanting.port:
                    await self._say(wanting.run_id, self.line.pool.shortage(wanting, ahead))
                ahead.append(wanting)

    def _lack(self, wanting: Wanting) -> str:
        if self.line is None:
            return _NO_POOL
        if not self.line.settled:
            return _SETTLING
        return self.line.pool.shortage(wanting, self._at_work.values())

    async def _say(self, run_id: str, lack: str) -> None:
        """Written down when it is another than before; of a service before this one something may be left."""
        if self._said.get(run_id) != lack:
            self._said[run_id] = lack
            await self._explain(run_id, lack)


def _wanting(run: Run) -> Wanting:
    config = load(run.config)
    return Wanting(run.id, config.places, torch=config.agents_learn)
