"""The progress of a run: a live line on a terminal, a few plain lines elsewhere."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar
from rich.table import Column

from controller.config.schedule import span_at, spans
from controller.run_folder.remarks import Remarks
from controller.run_folder.writer import event_line
from protocol.messages import kinds
from protocol.messages.plan import PhasePlan
from protocol.messages.telemetry import Event, Progress, Scalars, Sink, Telemetry, Window

_LINES_PER_RUN = 4
_BAR_WIDTH = 12
_REWARD = "reward_total"


class OutputClosedError(Exception):
    """The terminal is closed, or the program that reads the output has ended: nobody follows the run."""


@contextmanager
def run_progress(console: Console, schedule: Sequence[PhasePlan]) -> Iterator[Sink]:
    """A sink that shows a run's telemetry on the console: its slots, its phase, the state of learning, its events."""
    newest = _RunState(schedule)
    if not console.is_terminal:
        yield _sink(newest, _plain_lines(console, newest), console)
        return
    # The texts come from nodes and schemes: markup would drop text in brackets.
    phase = TextColumn("{task.fields[phase]}", markup=False, table_column=_whole())
    # slot, total and time left are whole at any width: what is learnt is cut first
    learning = TextColumn("{task.fields[learning]}", markup=False, table_column=_cut_first())
    counts = (
        BarColumn(_BAR_WIDTH),
        MofNCompleteColumn(table_column=_whole()),
        TimeRemainingColumn(table_column=_whole()),
    )
    with Bar(phase, *counts, learning, console=console, transient=True, expand=True) as bar:
        yield _sink(newest, _live_line(bar, newest), console)


def _whole() -> Column:
    return Column(no_wrap=True)


def _cut_first() -> Column:
    return Column(no_wrap=True, overflow="ellipsis", ratio=1)


def print_line(console: Console, line: str) -> None:
    """A line as it is: no markup, no colours, no wrapping."""
    console.print(line, markup=False, emoji=False, highlight=False, soft_wrap=True)


class _RunState:
    """The newest numbers that a run has reported: its phase, if it has several, and the state of learning."""

    def __init__(self, schedule: Sequence[PhasePlan]) -> None:
        self.slots = sum(plan.slots for plan in schedule)
        self._spans = spans(schedule)
        self._learns = any(plan.name == "train" for plan in schedule)
        self._scalars: dict[str, float] = {}
        self._reward = ""
        self._remarks = Remarks()

    def update(self, telemetry: Telemetry) -> None:
        self._remarks.take(telemetry)
        match telemetry:
            case Window():
                self._reward = _mean_reward(telemetry)
            case Scalars(_, kinds.TRAINER_NAME, scalars):
                self._scalars |= scalars
            case _:
                pass

    def phase(self, slot: int) -> str:
        """The phase of the last finished slot, `train, round 2 of 5` if it comes more than once; empty for a run of one
        phase."""
        if len(self._spans) == 1:
            return ""
        span = span_at(max(0, slot - 1), self._spans)
        rounds = sum(other.phase == span.phase for other in self._spans)
        return span.phase if rounds == 1 else f"{span.phase}, round {span.round} of {rounds}"

    @property
    def learning(self) -> str:
        """`reward_total 29.4, 900 updates, policy version 9`, if it trains; then what is to be known of the results."""
        parts = [self._reward] if self._reward else []
        if "updates" in self._scalars:
            parts.append(f"{self._scalars['updates']:,.0f} updates")
        if "policy_version" in self._scalars:
            parts.append(f"policy version {self._scalars['policy_version']:,.0f}")
        return ", ".join(filter(None, [*(parts if self._learns else []), self._remarks.now()]))


def _sink(newest: _RunState, show_slot: Callable[[int], None], console: Console) -> Sink:
    def sink(telemetry: Telemetry, /) -> None:
        newest.update(telemetry)
        try:
            match telemetry:
                case Progress(slot):
                    show_slot(slot)
                case Event():
                    print_line(console, event_line(telemetry))
                case _:
                    pass
        except (OSError, SystemExit) as error:  # rich exits when the reader of a pipe has gone
            raise OutputClosedError("its progress cannot be printed any more: the output was closed") from error

    return sink


def _live_line(bar: Bar, newest: _RunState) -> Callable[[int], None]:
    task = bar.add_task("slots", total=newest.slots, phase=newest.phase(0), learning="")
    return lambda slot: bar.update(task, completed=slot, phase=newest.phase(slot), learning=newest.learning)


def _plain_lines(console: Console, newest: _RunState) -> Callable[[int], None]:
    marks = [max(1, newest.slots * part // _LINES_PER_RUN) for part in range(1, _LINES_PER_RUN + 1)]

    def show(slot: int) -> None:
        passed = [mark for mark in marks if mark <= slot]
        if passed:
            del marks[: len(passed)]
            details = ", ".join(filter(None, [newest.phase(slot), newest.learning]))
            print_line(console, f"slot {slot} of {newest.slots}" + (f": {details}" if details else ""))

    return show


def _mean_reward(window: Window) -> str:
    """The mean of the window's reward, or of the world's first metric."""
    name = _REWARD if _REWARD in window.sums else next(iter(window.sums), "")
    return f"{name} {window.sums[name] / window.counts[name]:.4g}" if window.counts.get(name) else ""
