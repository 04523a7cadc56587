"""The runs at work: each has a keeper, which is followed to its end; then what became of the run is written down."""

import asyncio
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from controller.run_folder.folder import RunFolder
from controller.run_folder.status import ENDS, TAKEN, Standing, State
from controller.service.background import ASK_AGAIN_S, Background, insist
from controller.service.leasing import Leasing
from controller.service.run_process_handle import KeeperProcess
from controller.service.store import Results, Run, Store

LOOK_EVERY_S = 0.25
_GRACES_TO_END = 20  # what a run leaves behind is summed up when it ends


class Keeping:
    """Starts keepers, finds those that a service before this one started, follows them.

    `resume_lost`: a run whose keeper is lost goes on from its newest checkpoint, if it has a new one each time.
    `grace_s`: a keeper that has not heard by then that its run shall stop is killed, and one that has heard it and does
    not end within twenty times as long. `ended` is called when one has.
    """

    def __init__(
        self,
        store: Store,
        leasing: Leasing,
        background: Background,
        *,
        resume_lost: bool,
        grace_s: float,
        ended: Callable[[], None],
    ) -> None:
        self._store = store
        self._leasing = leasing
        self._background = background
        self._resume_lost = resume_lost
        self._grace_s = grace_s
        self._ended = ended
        self._stopping: dict[str, float] = {}  # since when, on the monotonic clock
        self._killed: set[str] = set()
        self._resumed_at: dict[str, int] = {}  # the checkpoint's slot
        self._keepers: dict[str, KeeperProcess] = {}

    @property
    def at_work(self) -> list[str]:
        """The ids of the runs that have a keeper."""
        return list(self._keepers)

    def tell(self, run_id: str, number: signal.Signals) -> None:
        """Send a run's keeper a signal, if it has one."""
        if keeper := self._keepers.get(run_id):
            keeper.tell(number)

    def stop(self, run_id: str) -> None:
        """Have a run's keeper end it after this slot; from now on it had better."""
        self.tell(run_id, signal.SIGINT)
        self._stopping.setdefault(run_id, time.monotonic())

    def close(self) -> None:
        """Let go of the keepers, which go on."""
        for keeper in self._keepers.values():
            keeper.close()

    async def adopt_all(self, known: frozenset[str] = frozenset()) -> frozenset[str]:
        """Take over the runs that are at work and not known; the ids of all of them."""
        runs = await insist(self._store.at_work)
        for run in runs:
            if run.id not in known and run.id not in self._keepers:
                self._adopt(run)
        return known | {run.id for run in runs}

    async def adopt_late(self, known: frozenset[str]) -> None:
        """What the service before this one said last may have reached the database after this one looked."""
        await asyncio.sleep(ASK_AGAIN_S)
        await self.adopt_all(known)

    def keep(self, run: Run) -> None:
        """Give a run at work to a keeper."""
        self._leasing.begin(run)
        try:
            keeper = KeeperProcess.start(run.folder, *self._leasing.words)
        except OSError as error:
            self._background.spawn(self._settle(run, f"no keeper can be started: {error}"))
        else:
            self._follow(run, keeper)

    def _adopt(self, run: Run) -> None:
        """A run that was at work when the service before this one ended."""
        keeper = KeeperProcess.find(run.folder)
        if keeper is not None:
            self._follow(run, keeper)
        elif Standing.read(run.folder) is None:
            self.keep(run)  # its keeper had not begun, and will find that it is not needed if it ever does
        else:
            self._background.spawn(self._settle(run, "its keeper ended without a word while no service was there"))

    def _follow(self, run: Run, keeper: KeeperProcess) -> None:
        self._keepers[run.id] = keeper
        self._background.spawn(self._until_the_end(run, keeper))

    async def _until_the_end(self, run: Run, keeper: KeeperProcess) -> None:
        """Keep the store up with what a keeper says, and write down its end."""
        match await insist(self._state, run.id):
            case State.STOPPING:  # asked before the keeper could be told
                self.stop(run.id)
            case State.PAUSED:  # the keeper before this one was lost in the pause
                keeper.tell(signal.SIGUSR1)
            case _:
                pass
        while not await keeper.gone(within_s=LOOK_EVERY_S):
            standing = await asyncio.to_thread(Standing.read, run.folder)
            if standing is not None and standing.state not in ENDS:
                await insist(self._store.move, run.id, standing.state)
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
                self.keep(run)
                return
            standing = Standing(State.FAILED, standing.slot if standing else 0, otherwise)
            if run.id in self._killed:
                reason = "its keeper did not end it in time, and was killed: there is no summary"
                standing = Standing(State.STOPPED, standing.slot, reason)
            if not KeeperProcess.stand_in(run.folder, standing):
                self.keep(run)  # a keeper that was long in coming is at work after all, and will be found
                return
        self._leasing.end(run.id)
        await asyncio.to_thread(settle_folder, run.folder, standing)
        results = await asyncio.to_thread(_results, run.folder, standing)
        await insist(self._store.move, run.id, standing.state, results=results)
        self._ended()

    async def _has_got_on(self, run: Run) -> bool:
        """Whether a run that is not to stop has a checkpoint to go on from, and not the same as the last time."""
        if await insist(self._state, run.id) is State.STOPPING:
            return False
        slot = await asyncio.to_thread(_newest_checkpoint, run.folder)
        if slot is None or slot <= self._resumed_at.get(run.id, -1):
            return False
        self._resumed_at[run.id] = slot
        return True

    def _state(self, run_id: str) -> State | None:
        run = self._store.get(run_id)
        return None if run is None else run.state


def _newest_checkpoint(path: Path) -> int | None:
    """The slot of a lost run's newest checkpoint; None if there is none, or the run itself is done."""
    with suppress(ValueError):
        folder = RunFolder.open(path)
        if folder.meta["state"] != State.SUCCEEDED.value:
            return next(iter(folder.checkpoints.slots), None)
    return None


def settle_folder(path: Path, standing: Standing) -> None:
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
