"""The progress of a study: a bar on a terminal, a line per cell elsewhere."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import fmean
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from airtoll.cli.progress import print_line


@dataclass(frozen=True)
class Work:
    """What a cell is expected to cost. `point`: equal for cells that differ in their seed alone; `slots`: of all its
    phases, times replicas."""

    scheme: str
    point: str
    slots: int


class StudyProgress(Protocol):
    """Receives the title of each finished cell and the duration of its run, if it has succeeded; and warnings."""

    def done(self, cell: str, seconds: float | None = None) -> None: ...
    def warn(self, line: str) -> None: ...


@contextmanager
def study_progress(
    console: Console,
    cells: Mapping[str, Work],
    known: Sequence[tuple[Work, float]] = (),
    *,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[StudyProgress]:
    """Shows the progress of a study that has these cells to run, by title. `known`: cells that were done before and the
    duration of their runs."""
    pace = _Pace(cells, known, clock)
    if not console.is_terminal:
        yield _Lines(console, pace)
        return
    newest = TextColumn("{task.fields[newest]}", markup=False)  # a cell's title may have brackets
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), newest)
    with Progress(TextColumn("cells"), *columns, console=console) as bar:
        yield _LiveBar(bar, pace)


class _Pace:
    """Counts finished cells, and estimates the time that the others take.

    A cell is expected to take as long as those of the same point, or else as those of its scheme per slot, or else as
    all per slot; the time that is left is the time until now, times what is left over what is done.
    """

    def __init__(
        self, cells: Mapping[str, Work], known: Sequence[tuple[Work, float]], clock: Callable[[], float]
    ) -> None:
        self.total, self.done = len(cells), 0
        self._left, self._known, self._finished = dict(cells), list(known), list[Work]()
        self._clock, self._started = clock, clock()

    def next(self, cell: str, seconds: float | None) -> str:
        """One more is finished: `3 min left`; `3 min left or more: no MAAC yet`, where that is a guess."""
        self.done += 1
        if work := self._left.pop(cell, None):
            self._finished.append(work)
            self._known += [] if seconds is None else [(work, seconds)]
        done, left = (sum(map(self._expected, works)) for works in (self._finished, self._left.values()))
        left_s = (self._clock() - self._started) * left / done if done else 0.0
        seen = {of.scheme for of, _ in self._known}
        first_unknown = next((work.scheme for work in self._left.values() if work.scheme not in seen), None)
        return f"{readable(left_s)} left" + (f" or more: no {first_unknown} yet" if first_unknown else "")

    def _expected(self, work: Work) -> float:
        if own := [seconds for of, seconds in self._known if of == work]:
            return fmean(own)
        alike = [(of, seconds) for of, seconds in self._known if of.scheme == work.scheme] or self._known
        slots = sum(of.slots for of, _ in alike)
        return work.slots * (sum(seconds for _, seconds in alike) / slots if slots else 1.0)


class _LiveBar:
    def __init__(self, bar: Progress, pace: _Pace) -> None:
        self._bar, self._pace = bar, pace
        self._task = bar.add_task("cells", total=pace.total, newest="")

    def done(self, cell: str, seconds: float | None = None) -> None:
        self._bar.update(self._task, advance=1, newest=f"{self._pace.next(cell, seconds)}: {cell}")

    def warn(self, line: str) -> None:
        print_line(self._bar.console, line)


class _Lines:
    def __init__(self, console: Console, pace: _Pace) -> None:
        self._console, self._pace = console, pace

    def done(self, cell: str, seconds: float | None = None) -> None:
        left = self._pace.next(cell, seconds)
        print_line(self._console, f"{self._pace.done} of {self._pace.total}, {left}: {cell}")

    def warn(self, line: str) -> None:
        print_line(self._console, line)


def readable(seconds: float) -> str:
    """12 s, 3 min, 1 h 20 min"""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"
