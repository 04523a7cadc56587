"""The phases of a run: which slots belong to which, and which phases train."""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import NamedTuple

from protocol.messages.plan import PhasePlan

TRAINING_PHASES, EXECUTION_PHASES = ("warmup", "train"), ("eval",)


class PhaseSpan(NamedTuple):
    """The slots `first` to `after` - 1 of a phase. `round`: from 1, how often the phase has come by then."""

    phase: str
    first: int
    after: int
    round: int = 1

    @property
    def slots(self) -> int:
        return self.after - self.first


def spans(schedule: Sequence[PhasePlan]) -> list[PhaseSpan]:
    """Where each phase begins and ends, in order."""
    ends = accumulate(plan.slots for plan in schedule)
    rounds = Counter[str]()
    found = []
    for plan, end in zip(schedule, ends, strict=True):
        rounds[plan.name] += 1
        found.append(PhaseSpan(plan.name, end - plan.slots, end, rounds[plan.name]))
    return found


def span_at(slot: int, over: Sequence[PhaseSpan]) -> PhaseSpan:
    """The span that a slot lies in; the closing turn comes after the last slot and belongs to the last span."""
    return over[min(bisect_right(over, slot, key=lambda span: span.after), len(over) - 1)]


def completed_slots(schedule: Sequence[PhasePlan], slots: int, *, of: Iterable[str]) -> int:
    """How many of a run's first `slots` slots belong to these phases."""
    wanted = set(of)
    return sum(max(0, min(span.after, slots) - span.first) for span in spans(schedule) if span.phase in wanted)
