"""How far a study is: a bar on a terminal, a line per cell elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

_DAY_S = 86_400.0


class Watch(Protocol):
    """Is told of each cell that is done with, and of what went wrong."""

    def done(self, cell: str) -> None: ...
    def warn(self, line: str) -> None: ...


@contextmanager
def watching(console: Console, total: int, *, clock: Callable[[], float] = time.monotonic) -> Iterator[Watch]:
    """Something to tell of the cells of a study that has so many to carry out."""
    if not console.is_terminal:
        yield _Lines(console, total, clock)
        return
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    newest = TextColumn("{task.fields[newest]}")
    # rich would forget what cells took that were done more than half a minute ago
    with Progress(TextColumn("cells"), *columns, newest, console=console, speed_estimate_period=_DAY_S) as bar:
        yield _Live(bar, bar.add_task("cells", total=total, newest=""))


class _Live:
    def __init__(self, bar: Progress, task: TaskID) -> None:
        self._bar, self._task = bar, task

    def done(self, cell: str) -> None:
        self._bar.update(self._task, advance=1, newest=cell)

    def warn(self, line: str) -> None:
        _say(self._bar.console, line)


class _Lines:
    def __init__(self, console: Console, total: int, clock: Callable[[], float]) -> None:
        self._console, self._total, self._clock = console, total, clock
        self._began, self._done = clock(), 0

    def done(self, cell: str) -> None:
        self._done += 1
        left_s = (self._clock() - self._began) / self._done * (self._total - self._done)
        _say(self._console, f"{self._done} of {self._total}, {readable(left_s)} left: {cell}")

    def warn(self, line: str) -> None:
        _say(self._console, line)


def readable(seconds: float) -> str:
    """12 s, 3 min, 1 h 20 min"""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
