"""The progress of a study: a bar on a terminal, a line per cell elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from airtoll.cli.progress import print_line


class StudyProgress(Protocol):
    """Receives the title of each finished cell, and warnings."""

    def done(self, cell: str) -> None: ...
    def warn(self, line: str) -> None: ...


@contextmanager
def study_progress(
    console: Console, total: int, *, clock: Callable[[], float] = time.monotonic
) -> Iterator[StudyProgress]:
    """Shows the progress of a study that has `total` cells to run."""
    pace = _Pace(total, clock)
    if not console.is_terminal:
        yield _Lines(console, pace)
        return
    newest = TextColumn("{task.fields[newest]}", markup=False)  # a cell's title may have brackets
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), newest)
    with Progress(TextColumn("cells"), *columns, console=console) as bar:
        yield _LiveBar(bar, pace)


class _Pace:
    """Counts finished cells, and estimates the time that the others take at their pace."""

    def __init__(self, total: int, clock: Callable[[], float]) -> None:
        self.total, self.done = total, 0
        self._clock, self._started = clock, clock()

    def next(self) -> str:
        """One more is finished: `3 min left`."""
        self.done += 1
        left_s = (self._clock() - self._started) / self.done * (self.total - self.done)
        return f"{readable(left_s)} left"


class _LiveBar:
    def __init__(self, bar: Progress, pace: _Pace) -> None:
        self._bar, self._pace = bar, pace
        self._task = bar.add_task("cells", total=pace.total, newest="")

    def done(self, cell: str) -> None:
        self._bar.update(self._task, advance=1, newest=f"{self._pace.next()}: {cell}")

    def warn(self, line: str) -> None:
        print_line(self._bar.console, line)


class _Lines:
    def __init__(self, console: Console, pace: _Pace) -> None:
        self._console, self._pace = console, pace

    def done(self, cell: str) -> None:
        left = self._pace.next()
        print_line(self._console, f"{self._pace.done} of {self._pace.total}, {left}: {cell}")

    def warn(self, line: str) -> None:
        print_line(self._console, line)


def readable(seconds: float) -> str:
    """12 s, 3 min, 1 h 20 min"""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
