"""How far a run is: a live line on a terminal, a few plain lines elsewhere."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from controller.config.schedule import phase_at, spans
from controller.run_folder.folder import event_line
from protocol.messages import kinds
from protocol.messages.plan import PhasePlan
from protocol.messages.telemetry import Event, Progress, Scalars, Telemetry, Window

Watch = Callable[[Telemetry], None]
_LINES_PER_RUN = 4
_REWARD = "reward_total"


class Figures:
    """What there is to say of a run beside its slots: its phase if it has several, and what learning has come to."""

    def __init__(self, schedule: Sequence[PhasePlan]) -> None:
        self.slots = sum(plan.slots for plan in schedule)
        self._spans = spans(schedule)
        self._learns = any(plan.name == "train" for plan in schedule)
        self._trained: dict[str, float] = {}
        self._reward = ""

    def take(self, telemetry: Telemetry) -> None:
        """Remember the newest figures."""
        match telemetry:
            case Window():
                self._reward = _reward(telemetry)
            case Scalars(_, kinds.TRAINER_NAME, scalars):
                self._trained |= scalars
            case _:
                pass

    def phase(self, slot: int) -> str:
        """The phase of the last slot that was finished; nothing for a run of one phase."""
        return phase_at(max(0, slot - 1), self._spans) if len(self._spans) > 1 else ""

    @property
    def learning(self) -> str:
        """`reward_total 29.4, 900 updates, policy version 9`; nothing for a run that does not train."""
        said = [self._reward] if self._reward else []
        if "updates" in self._trained:
            said.append(f"{self._trained['updates']:,.0f} updates")
        if "policy_version" in self._trained:
            said.append(f"policy version {self._trained['policy_version']:,.0f}")
        return ", ".join(said) if self._learns else ""


@contextmanager
def watching(console: Console, schedule: Sequence[PhasePlan]) -> Iterator[Watch]:
    """Something to show telemetry to, for a run of these phases."""
    if not console.is_terminal:
        yield _plain(console, Figures(schedule))
        return
    phase, learning = TextColumn("{task.fields[phase]}"), TextColumn("{task.fields[learning]}")
    counts = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TimeRemainingColumn())
    with Bar(TextColumn("slots"), phase, *counts, learning, console=console, transient=True) as bar:
        yield _live(bar, Figures(schedule))


def _live(bar: Bar, figures: Figures) -> Watch:
    task = bar.add_task("slots", total=figures.slots, phase=figures.phase(0), learning="")

    def watch(telemetry: Telemetry) -> None:
        figures.take(telemetry)
        match telemetry:
            case Progress(slot):
                bar.update(task, completed=slot, phase=figures.phase(slot), learning=figures.learning)
            case Event():
                _say(bar.console, event_line(telemetry))
            case _:
                pass

    return watch


def _plain(console: Console, figures: Figures) -> Watch:
    marks = [max(1, figures.slots * part // _LINES_PER_RUN) for part in range(1, _LINES_PER_RUN + 1)]

    def watch(telemetry: Telemetry) -> None:
        figures.take(telemetry)
        match telemetry:
            case Progress(slot):
                passed = [mark for mark in marks if mark <= slot]
                if passed:
                    del marks[: len(passed)]
                    _say(console, _line(figures, slot))
            case Event():
                _say(console, event_line(telemetry))
            case _:
                pass

    return watch


def _line(figures: Figures, slot: int) -> str:
    said = ", ".join(filter(None, [figures.phase(slot), figures.learning]))
    return f"slot {slot} of {figures.slots}" + (f": {said}" if said else "")


def _reward(window: Window) -> str:
    """The mean of the window's reward, or of the world's first metric."""
    name = _REWARD if _REWARD in window.sums else next(iter(window.sums), "")
    return f"{name} {window.sums[name] / window.counts[name]:.4g}" if window.counts.get(name) else ""


def _say(console: Console, line: str) -> None:
    console.print(line, markup=False, highlight=False, soft_wrap=True)
