"""Plays a run in a placement, watched, interruptible and pausable; and the runs beside it."""

import re
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple, assert_never

from controller.configuration import Placement, RunConfig
from controller.launchers.in_process import run_in_process
from controller.launchers.processes import run_processes
from controller.run_folder import RunFolder
from protocol.plan import PastEvent, RunPlan
from protocol.telemetry import Ended, Sink, Telemetry

HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class Wishes(NamedTuple):
    """What the run's owner wishes just now."""

    interrupted: Callable[[], bool]
    paused: Callable[[], bool]


def carry_out(
    config: RunConfig,
    folder: RunFolder,
    watch: Sink,
    *,
    replay: tuple[PastEvent, ...] | None = None,
    wishes: Wishes | None = None,
) -> dict[str, Any]:
    """Execute the run into its folder; the summary. An interrupted run has its summary written before it is raised."""
    plan = config.plan(folder.meta["run_id"], replay=replay)
    try:
        execute(plan, config.placement, folder, watch, wishes=wishes)
    except KeyboardInterrupt:
        folder.summarise()
        raise
    return folder.summarise()


def carry_out_beside(config: RunConfig, folder: RunFolder, *, wishes: Wishes | None = None) -> dict[str, Any]:
    """Execute the runs to compare with, each in a folder inside; their summaries by name."""
    summaries: dict[str, Any] = {}
    for name, other in config.others.items():
        inside = RunFolder.create(other, at=folder.path / "beside" / re.sub(r"[^\w.=-]", "_", name))
        summaries[name] = carry_out(other, inside, unwatched, wishes=wishes)
    return summaries


def unwatched(telemetry: Telemetry, /) -> None:
    """Nobody looks on."""


def execute(plan: RunPlan, placement: Placement, folder: Sink, watch: Sink, *, wishes: Wishes | None = None) -> Ended:
    """Play a run to its end; telemetry goes to `folder`, then to `watch`. Without `wishes`, signals are listened to.

    KeyboardInterrupt after Ctrl-C, SIGTERM or SIGHUP, once every process has stopped and the folder holds what there
    is.
    """
    if wishes is None:
        with wishes_by_signal() as heard:
            return execute(plan, placement, folder, watch, wishes=heard)

    def sink(telemetry: Telemetry) -> None:
        folder(telemetry)
        watch(telemetry)

    match placement:
        case "in-process":
            ended = run_in_process(plan, sink, *wishes)
        case "processes":
            ended = run_processes(plan, sink, *wishes)
        case _:
            assert_never(placement)
    if wishes.interrupted():
        raise KeyboardInterrupt
    return ended


@contextmanager
def wishes_by_signal() -> Iterator[Wishes]:
    """SIGINT, SIGTERM and SIGHUP interrupt, SIGUSR1 pauses, SIGUSR2 goes on; elsewhere than in the main thread nobody
    can be told anything."""
    if threading.current_thread() is not threading.main_thread():
        yield Wishes(lambda: False, lambda: False)
        return
    interrupted, paused = threading.Event(), threading.Event()

    def hear(number: int, _frame: FrameType | None) -> None:
        match number:
            case signal.SIGUSR1:
                paused.set()
            case signal.SIGUSR2:
                paused.clear()
            case _:
                interrupted.set()

    before = {number: signal.signal(number, hear) for number in HEARD}
    try:
        yield Wishes(interrupted.is_set, paused.is_set)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
