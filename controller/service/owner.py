"""The owner of runs: takes them into a queue, gives so many at a time to keepers, and writes down what became of them.

Everything here happens in one event loop; what may take long (files, the store) is done in threads. Keepers depend on
nobody: an owner that starts anew finds those that are at work, and goes on from there.
"""

import asyncio
import fcntl
import logging
import shutil
import signal
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from controller.configuration import RunConfig, as_mapping
from controller.faults import ConfigError
from controller.run_folder import RunFolder
from controller.service.keepers import KeeperProcess
from controller.service.leasing import Leasing
from controller.service.pool_line import PoolLine
from controller.service.store import Results, Run, Store
from controller.standing import ENDS, TAKEN, Standing, State

LOOK_EVERY_S = 0.25
_RUNS = "runs"
_LOG = logging.getLogger("airtoll")


class NoSuchRunError(LookupError):
    """No run has this id."""


class WrongStateError(Exception):
    """What is asked for cannot be done in the run's state."""


class QueueFullError(Exception):
    """As many runs are waiting as may wait."""


class Owner:
    """Owns the runs whose folders lie in `data`/runs. At most `at_once` are at work, at most `longest_queue` wait.

    `resume_lost`: a run whose keeper is lost goes on from its newest checkpoint, if it has a new one each time.
    `pool`: where workers report that runs may be leased, closed with the owner; a run that lacks some stands back.
    """

    def __init__(
        self,
        data: Path,
        store: Store,
        *,
        at_once: int = 1,
        longest_queue: int = 1000,
        resume_lost: bool = False,
        pool: PoolLine | None = None,
    ) -> None:
        self.data = data.absolute()
        self.store = store
        self.at_once = at_once
        self._longest_queue = longest_queue
        self._resume_lost = resume_lost
        self._resumed_at: dict[str, int] = {}  # the checkpoint's slot
        self._keepers: dict[str, KeeperProcess] = {}
        self._following: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self._lock = _only_one(data)
        self.pool = pool
        self._leasing = Leasing(pool, explain=self._explain, changed=self._changed.set)

    async def open(self) -> None:
        """Find the keepers that are at work, and give the queue to new ones."""
        for run in await asyncio.to_thread(self.store.at_work):
            self._adopt(run)
        self._spawn(self._serve_queue())
        self._spawn(self._leasing.tend())

    async def close(self) -> None:
        """Let go of everything; keepers go on."""
        for task in self._following:
            task.cancel()
        await asyncio.gather(*self._following, return_exceptions=True)
        for keeper in self._keepers.values():
            keeper.close()
        self._leasing.close()
        self._lock.close()

    @property
    def at_work(self) -> list[str]:
        """The ids of the runs that have a keeper."""
        return list(self._keepers)

    async def submit(self, config: RunConfig) -> Run:
        """Take a run into the queue. QueueFullError, ConfigError when its folder cannot be made, or it wants a pool and
        there is none."""
        self._leasing.check(config.placement)
        if (await asyncio.to_thread(self.store.counts))[State.PENDING] >= self._longest_queue:
            raise QueueFullError(f"{self._longest_queue} runs are waiting; stop one, or come again later")
        run = await asyncio.to_thread(self._create, config)
        self._changed.set()
        return run

    async def get(self, run_id: str) -> Run:
        """The run as it is known. NoSuchRunError."""
        run = await asyncio.to_thread(self.store.get, run_id)
        if run is None:
            raise NoSuchRunError(f"no run has the id {run_id!r}; GET /api/v1/runs lists those there are")
        return run

    async def stop(self, run_id: str) -> Run:
        """Take a run out of the queue, or have its keeper end it after this slot. WrongStateError if it has ended."""
        if await asyncio.to_thread(self.store.move, run_id, State.STOPPED, since=[State.PENDING]):
            self._leasing.end(run_id)
        else:
            await asyncio.to_thread(self.store.move, run_id, State.STOPPING)
            self._tell(await self._in_state(run_id, "stopped", State.STOPPING), signal.SIGINT)
        return await self.get(run_id)

    async def pause(self, run_id: str) -> Run:
        """Have a run hold between two slots. WrongStateError unless it is RUNNING, or PAUSED already."""
        self._tell(await self._in_state(run_id, "paused", State.RUNNING, State.PAUSED), signal.SIGUSR1)
        return await self.get(run_id)

    async def resume(self, run_id: str) -> Run:
        """Have a run go on. WrongStateError unless it is PAUSED, or RUNNING already."""
        self._tell(await self._in_state(run_id, "resumed", State.RUNNING, State.PAUSED), signal.SIGUSR2)
        return await self.get(run_id)

    async def remove(self, run_id: str) -> None:
        """Forget a run that has ended, its folder included. WrongStateError if it has not."""
        run = await self._in_state(run_id, "deleted", *ENDS)
        if await asyncio.to_thread(self.store.remove, run_id):
            await asyncio.to_thread(shutil.rmtree, run.folder)

    # inside

    def _create(self, config: RunConfig) -> Run:
        folder = RunFolder.create(config.model_copy(update={"out": str(self.data / _RUNS)}), command=["airtoll serve"])
        made = folder.config
        run = Run(
            id=folder.meta["run_id"],
            world=made.world.name,
            scheme=made.scheme.name,
            seed=made.seed,
            slots=sum(phase.slots for phase in made.schedule),
            config=as_mapping(made),
            folder=folder.path,
            created=datetime.now(UTC),
        )
        self.store.add(run)
        return run

    async def _in_state(self, run_id: str, what: str, *states: State) -> Run:
        run = await self.get(run_id)
        if run.state not in states:
            allowed = ", ".join(state.value for state in State if state in states)
            raise WrongStateError(f"a run that is {run.state.value} cannot be {what}: it must be {allowed}")
        return run

    def _tell(self, run: Run, number: signal.Signals) -> None:
        if keeper := self._keepers.get(run.id):
            keeper.tell(number)

    async def _serve_queue(self) -> None:
        """Start what waits, whenever there is room."""
        while True:
            self._changed.clear()
            waiting = await asyncio.to_thread(self.store.waiting) if len(self._keepers) < self.at_once else []
            for run in waiting:
                if len(self._keepers) >= self.at_once:
                    break
                if await self._leasing.has_room(run) and await self._has_begun(run):
                    self._keep(run)
            await self._changed.wait()

    async def _has_begun(self, run: Run) -> bool:
        return await asyncio.to_thread(self.store.move, run.id, State.RUNNING, since=[State.PENDING])

    async def _explain(self, run_id: str, reason: str) -> None:
        await asyncio.to_thread(self.store.explain, run_id, reason)

    def _adopt(self, run: Run) -> None:
        """A run that was at work when the service before this one ended."""
        keeper = KeeperProcess.find(run.folder)
        if keeper is not None:
            self._follow(run, keeper)
        elif Standing.read(run.folder) is None and run.state is State.RUNNING:
            self._keep(run)  # its keeper had not begun, and will find that it is not needed if it ever does
        else:
            self._spawn(self._settle(run, "its keeper ended without a word while no service was there"))

    def _keep(self, run: Run) -> None:
        self._leasing.begin(run)
        try:
            keeper = KeeperProcess.start(run.folder, *self._leasing.words)
        except OSError as error:
            self._spawn(self._settle(run, f"no keeper can be started: {error}"))
        else:
            self._follow(run, keeper)

    def _follow(self, run: Run, keeper: KeeperProcess) -> None:
        self._keepers[run.id] = keeper
        self._spawn(self._until_the_end(run, keeper))

    async def _until_the_end(self, run: Run, keeper: KeeperProcess) -> None:
        """Keep the store up with what a keeper says, and write down its end."""
        match (await self.get(run.id)).state:
            case State.STOPPING:  # asked before the keeper could be told
                keeper.tell(signal.SIGINT)
            case State.PAUSED:  # the keeper before this one was lost in the pause
                keeper.tell(signal.SIGUSR1)
            case _:
                pass
        while not await keeper.gone(within_s=LOOK_EVERY_S):
            standing = await asyncio.to_thread(Standing.read, run.folder)
            if standing is not None and standing.state not in ENDS:
                await asyncio.to_thread(self.store.move, run.id, standing.state)
                await self._leasing.heed(run, standing)
        code = keeper.exit_code()
        other = KeeperProcess.find(run.folder) if code == TAKEN else None
        if other is not None:
            self._follow(run, other)
        else:
            await self._settle(run, f"its keeper ended without a word{_cause(code)}; see keeper.log")
        if self._keepers[run.id] is keeper:
            del self._keepers[run.id]
        keeper.close()

    async def _settle(self, run: Run, otherwise: str) -> None:
        """Write down how a run ended whose keeper is gone; why, if the keeper did not say. One that was lost may go on
        from a checkpoint instead."""
        standing = await asyncio.to_thread(Standing.read, run.folder)
        if standing is None or standing.state not in ENDS:
            if self._resume_lost and await self._has_got_on(run):
                self._keep(run)
                return
            standing = Standing(State.FAILED, standing.slot if standing else 0, otherwise)
        self._leasing.end(run.id)
        results = await asyncio.to_thread(_results, run.folder, standing)
        await asyncio.to_thread(self.store.move, run.id, standing.state, results=results)
        self._changed.set()

    async def _has_got_on(self, run: Run) -> bool:
        """Whether a run that is not to stop has a checkpoint to go on from, and not the same as the last time."""
        if (await self.get(run.id)).state is State.STOPPING:
            return False
        slot = await asyncio.to_thread(_newest_checkpoint, run.folder)
        if slot is None or slot <= self._resumed_at.get(run.id, -1):
            return False
        self._resumed_at[run.id] = slot
        return True

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """A task of this owner's; one that fails is no reason to lose the others."""
        task = asyncio.create_task(work)
        self._following.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: "asyncio.Task[None]") -> None:
        self._following.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _LOG.error("the owner of runs", exc_info=error)


def _newest_checkpoint(path: Path) -> int | None:
    """The slot of a lost run's newest checkpoint; None if there is none, or the run itself is done."""
    with suppress(ValueError):
        folder = RunFolder.open(path)
        if folder.meta["state"] != "done":
            return next(iter(folder.checkpoints.slots), None)
    return None


def _results(folder: Path, standing: Standing) -> Results:
    """What the index keeps of a run; a run that was cut off has no summary."""
    summary: dict[str, Any] = {}
    with suppress(ValueError):
        summary = RunFolder.open(folder).summary
    return Results(
        reason=standing.reason,
        slot=standing.slot,
        metrics=summary.get("metrics", {}),
        trace_digest=summary.get("trace_digest", ""),
    )


def _cause(code: int | None) -> str:
    if code is None:
        return ""
    return f" (signal {-code})" if code < 0 else f" (exit code {code})"


def _only_one(data: Path) -> BinaryIO:
    """A lock on the folder; ConfigError while another service has it."""
    data.mkdir(parents=True, exist_ok=True)
    lock = (data / "service.lock").open("a+b")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise ConfigError(f"--data: {data} belongs to a controller that is at work; give another folder") from error
    return lock
