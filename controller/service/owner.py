"""The owner of runs: takes them into a queue, gives so many at a time to keepers, and writes down what became of them.

Everything here happens in one event loop; what may take long (files, the store) is done in threads. Keepers depend on
nobody: an owner that starts anew finds those that are at work, and goes on from there.
"""

import asyncio
import logging
import shutil
import signal
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from controller.configuration import RunConfig, as_mapping
from controller.run_folder import RunFolder
from controller.service.data_folder import DataFolder
from controller.service.keepers import KeeperProcess
from controller.service.leasing import Leasing
from controller.service.pool_line import PoolLine
from controller.service.store import Results, Run, Store, StoreGoneError
from controller.standing import AT_WORK, ENDS, TAKEN, Standing, State

LOOK_EVERY_S = 0.25
ASK_AGAIN_S = 1.0  # a store that does not answer
GRACE_S = 30.0
_GRACES_TO_END = 20  # what a run leaves behind is summed up when it ends
LONGEST_QUEUE = 1000
_RUNS = "runs"
_LOG = logging.getLogger("airtoll")
_P = ParamSpec("_P")
_T = TypeVar("_T")


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
    `grace_s`: a keeper that has not heard by then that its run shall stop is killed, and one that has heard it and does
    not end within twenty times as long.
    ConfigError if another service has the folder, or the store is another folder's. While the store does not answer,
    what is asked of the owner raises StoreGoneError; what it has to write down by itself waits.
    """

    def __init__(
        self,
        data: Path,
        store: Store,
        *,
        at_once: int = 1,
        longest_queue: int = LONGEST_QUEUE,
        resume_lost: bool = False,
        pool: PoolLine | None = None,
        grace_s: float = GRACE_S,
    ) -> None:
        self._folder = DataFolder(data)
        try:
            store.belong_to(self._folder.id, self._folder.path)
        except Exception:
            self._folder.close()
            raise
        self.data = self._folder.path
        self.store = store
        self.at_once = at_once
        self._longest_queue = longest_queue
        self._resume_lost = resume_lost
        self._grace_s = grace_s
        self._stopping: dict[str, float] = {}  # since when, on the monotonic clock
        self._killed: set[str] = set()
        self._resumed_at: dict[str, int] = {}  # the checkpoint's slot
        self._keepers: dict[str, KeeperProcess] = {}
        self._following: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()
        self.pool = pool
        self._leasing = Leasing(pool, explain=self._explain, changed=self._changed.set)

    async def open(self) -> None:
        """Find the keepers that are at work, and give the queue to new ones."""
        known = await self._adopt_all()
        self._spawn(self._adopt_late(known))
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
        self._folder.close()

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
            await asyncio.to_thread(_settle_folder, (await self.get(run_id)).folder, Standing(State.STOPPED))
        else:
            await asyncio.to_thread(self.store.move, run_id, State.STOPPING)
            self._tell(await self._in_state(run_id, "stopped", State.STOPPING), signal.SIGINT)
            self._stopping.setdefault(run_id, time.monotonic())
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
        try:
            self.store.add(run)
        except Exception:
            shutil.rmtree(folder.path)
            raise
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
            waiting = await self._insist(self.store.waiting) if len(self._keepers) < self.at_once else []
            for run in waiting:
                if len(self._keepers) >= self.at_once:
                    break
                if await self._leasing.has_room(run) and (begun := await self._begun(run)):
                    self._keep(begun)
            await self._changed.wait()

    async def _begun(self, run: Run) -> Run | None:
        """The run at work; None if it was stopped, or deleted, while it waited."""
        await self._insist(self.store.move, run.id, State.RUNNING, since=[State.PENDING])
        begun = await self._insist(self.store.get, run.id)
        return begun if begun is not None and begun.state in AT_WORK else None

    async def _explain(self, run_id: str, reason: str) -> None:
        await self._insist(self.store.explain, run_id, reason)

    async def _adopt_all(self, known: frozenset[str] = frozenset()) -> frozenset[str]:
        """Take over the runs that are at work and not known; the ids of all of them."""
        runs = await self._insist(self.store.at_work)
        for run in runs:
            if run.id not in known and run.id not in self._keepers:
                self._adopt(run)
        return known | {run.id for run in runs}

    async def _adopt_late(self, known: frozenset[str]) -> None:
        """What the service before this one said last may have reached the database after this one looked."""
        await asyncio.sleep(ASK_AGAIN_S)
        await self._adopt_all(known)

    def _adopt(self, run: Run) -> None:
        """A run that was at work when the service before this one ended."""
        keeper = KeeperProcess.find(run.folder)
        if keeper is not None:
            self._follow(run, keeper)
        elif Standing.read(run.folder) is None:
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
        match await self._insist(self._state, run.id):
            case State.STOPPING:  # asked before the keeper could be told
                keeper.tell(signal.SIGINT)
                self._stopping.setdefault(run.id, time.monotonic())
            case State.PAUSED:  # the keeper before this one was lost in the pause
                keeper.tell(signal.SIGUSR1)
            case _:
                pass
        while not await keeper.gone(within_s=LOOK_EVERY_S):
            standing = await asyncio.to_thread(Standing.read, run.folder)
            if standing is not None and standing.state not in ENDS:
                await self._insist(self.store.move, run.id, standing.state)
                await self._leasing.heed(run, standing)
            if self._is_deaf(run, standing):
                self._killed.add(run.id)
                keeper.kill()
        code = keeper.exit_code()
        other = KeeperProcess.find(run.folder) if code == TAKEN else None
        if other is not None:
            self._follow(run, other)
        else:
            await self._settle(run, f"its keeper ended without a word{_cause(code)}; see keeper.log")
        if self._keepers[run.id] is keeper:
            del self._keepers[run.id]
            self._stopping.pop(run.id, None)
            self._killed.discard(run.id)
        keeper.close()

    def _is_deaf(self, run: Run, standing: Standing | None) -> bool:
        """Whether a keeper has had long enough to end its run."""
        heard = standing is not None and standing.state in (State.STOPPING, *ENDS)
        graces = _GRACES_TO_END if heard else 1
        now = time.monotonic()
        return now - self._stopping.get(run.id, now) > graces * self._grace_s

    async def _settle(self, run: Run, otherwise: str) -> None:
        """Write down how a run ended whose keeper is gone; why, if the keeper did not say. One that was lost may go on
        from a checkpoint instead."""
        standing = await asyncio.to_thread(Standing.read, run.folder)
        if standing is None or standing.state not in ENDS:
            if self._resume_lost and await self._has_got_on(run):
                self._keep(run)
                return
            standing = Standing(State.FAILED, standing.slot if standing else 0, otherwise)
            if run.id in self._killed:
                reason = "its keeper did not end it in time, and was killed: there is no summary"
                standing = Standing(State.STOPPED, standing.slot, reason)
            if not KeeperProcess.stand_in(run.folder, standing):
                self._keep(run)  # a keeper that was long in coming is at work after all, and will be found
                return
        self._leasing.end(run.id)
        await asyncio.to_thread(_settle_folder, run.folder, standing)
        results = await asyncio.to_thread(_results, run.folder, standing)
        await self._insist(self.store.move, run.id, standing.state, results=results)
        self._changed.set()

    async def _has_got_on(self, run: Run) -> bool:
        """Whether a run that is not to stop has a checkpoint to go on from, and not the same as the last time."""
        if await self._insist(self._state, run.id) is State.STOPPING:
            return False
        slot = await asyncio.to_thread(_newest_checkpoint, run.folder)
        if slot is None or slot <= self._resumed_at.get(run.id, -1):
            return False
        self._resumed_at[run.id] = slot
        return True

    def _state(self, run_id: str) -> State | None:
        run = self.store.get(run_id)
        return None if run is None else run.state

    async def _insist(self, ask: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
        """Ask the store until it answers."""
        while True:
            try:
                return await asyncio.to_thread(ask, *args, **kwargs)
            except StoreGoneError as error:
                _LOG.warning("%s; asked again in %g s", error, ASK_AGAIN_S)
                await asyncio.sleep(ASK_AGAIN_S)

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
        if folder.meta["state"] != State.SUCCEEDED.value:
            return next(iter(folder.checkpoints.slots), None)
    return None


def _settle_folder(path: Path, standing: Standing) -> None:
    """Have the folder say what its keeper could not; what it has said of its end stays."""
    with suppress(ValueError):
        folder = RunFolder.open(path)
        if State(folder.meta["state"]) not in ENDS:
            folder.settle(standing.state, standing.reason)


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
