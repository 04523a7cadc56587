"""How far a run is: a live line on a terminal, a few plain lines elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from controller.run_folder import event_line
from protocol.telemetry import Event, Progress, Telemetry

Watch = Callable[[Telemetry], None]
_LINES_PER_RUN = 4


@contextmanager
def watching(console: Console, slots: int) -> Iterator[Watch]:
    """Something to show telemetry to, for a run of so many slots."""
    if not console.is_terminal:
        yield _plain(console, slots)
        return
    columns = (TextColumn("slots"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Bar(*columns, console=console, transient=True) as bar:
        yield _live(bar, slots)


def _live(bar: Bar, slots: int) -> Watch:
    task = bar.add_task("slots", total=slots)

    def watch(telemetry: Telemetry) -> None:
        match telemetry:
            case Progress(slot):
                bar.update(task, completed=slot)
            case Event():
                _say(bar.console, event_line(telemetry))
            case _:
                pass

    return watch


def _plain(console: Console, slots: int) -> Watch:
    marks = [max(1, slots * part // _LINES_PER_RUN) for part in range(1, _LINES_PER_RUN + 1)]

    def watch(telemetry: Telemetry) -> None:
        match telemetry:
            case Progress(slot):
                passed = [mark for mark in marks if mark <= slot]
                if passed:
                    del marks[: len(passed)]
                    _say(console, f"slot {slot} of {slots}")
            case Event():
                _say(console, event_line(telemetry))
            case _:
                pass

    return watch


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
