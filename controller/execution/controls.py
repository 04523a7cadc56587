"""Requests to a run while it is running: stop, pause, resume, execute orders."""

import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NamedTuple

from protocol.messages.orders import Order

# SIGINT, SIGTERM and SIGHUP stop a run, SIGUSR1 pauses it, SIGUSR2 resumes it.
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class RunControls(NamedTuple):
    """Polled several times a second. `interrupted`: whether the run is to stop; `paused`: whether it is to pause before
    its next slot; `orders`: those that are new. By default there are no requests."""

    interrupted: Callable[[], bool] = lambda: False
    paused: Callable[[], bool] = lambda: False
    orders: Callable[[], Iterable[Order]] = tuple


NO_CONTROLS = RunControls()


@contextmanager
def controls_by_signal() -> Iterator[RunControls]:
    """Controls that follow this process's signals; outside the main thread, which alone may handle them, none."""
    if threading.current_thread() is not threading.main_thread():
        yield NO_CONTROLS
        return
    interrupted, paused = threading.Event(), threading.Event()

    def handle(number: int, _frame: FrameType | None) -> None:
        match number:
            case signal.SIGUSR1:
                paused.set()
            case signal.SIGUSR2:
                paused.clear()
            case _:
                interrupted.set()

    before = {number: signal.signal(number, handle) for number in SIGNALS}
    try:
        yield RunControls(interrupted.is_set, paused.is_set)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
