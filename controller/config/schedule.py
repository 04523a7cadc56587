"""The phases of a run: which slots belong to which, and which phases train."""

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from protocol.messages.plan import PhasePlan

TRAINING_PHASES, EXECUTION_PHASES = ("warmup", "train"), ("eval",)


class PhaseSpan(NamedTuple):
    """The slots `first` to `after` - 1 of a phase."""

    phase: str
    first: int
    after: int

    @property
    def slots(self) -> int:
        return self.after - self.first


def spans(schedule: Sequence[PhasePlan]) -> list[PhaseSpan]:
    """Where each phase begins and ends, in order."""
    ends = accumulate(plan.slots for plan in schedule)
    return [PhaseSpan(plan.name, end - plan.slots, end) for plan, end in zip(schedule, ends, strict=True)]


def phase_at(slot: int, over: Sequence[PhaseSpan]) -> str:
    """A slot's phase; the closing turn comes after the last slot and belongs to the last phase."""
    return next((span.phase for span in over if slot < span.after), over[-1].phase)


def completed_slots(schedule: Sequence[PhasePlan], slots: int, *, of: Iterable[str]) -> int:
    """How many of a run's first `slots` slots belong to these phases."""
    return sum(max(0, min(span.after, slots) - span.first) for span in spans(schedule) if span.phase in set(of))
