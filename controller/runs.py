"""Plays a run in a placement, watched and interruptible."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import assert_never

from controller.configuration import Placement
from controller.launchers.in_process import run_in_process
from controller.launchers.processes import run_processes
from protocol.plan import RunPlan
from protocol.telemetry import Ended, Sink, Telemetry


def execute(plan: RunPlan, placement: Placement, folder: Sink, watch: Sink) -> Ended:
    """Play a run to its end; telemetry goes to `folder`, then to `watch`.

    KeyboardInterrupt after Ctrl-C, SIGTERM or SIGHUP, once every process has stopped and the folder holds what there
    is.
    """

    def sink(telemetry: Telemetry) -> None:
        folder(telemetry)
        watch(telemetry)

    with _interruptible() as interrupted:
        match placement:
            case "in-process":
                ended = run_in_process(plan, sink, interrupted)
            case "processes":
                ended = run_processes(plan, sink, interrupted)
            case _:
                assert_never(placement)
    if interrupted():
        raise KeyboardInterrupt
    return ended


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Turns SIGINT, SIGTERM and SIGHUP into an answer; elsewhere than in the main thread nobody can be interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = threading.Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
