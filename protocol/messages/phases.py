"""How far training is: what schedules that anneal over a run are functions of."""

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate

from protocol.messages.choreography import PHASES

_TRAIN = PHASES.index("train")


class TrainingProgress:
    """`phases`: as in the Welcome, the index in PHASES and the number of slots of each, in order."""

    def __init__(self, phases: Sequence[tuple[int, int]]) -> None:
        self._begins = list(accumulate((slots for _, slots in phases), initial=0))
        self._trained = list(accumulate((slots * (phase == _TRAIN) for phase, slots in phases), initial=0))

    def at(self, slot: int) -> float:
        """The share of the run's training slots that lie before this slot, 0 to 1; 1 in a run without any."""
        if not self._trained[-1]:
            return 1.0
        phase = bisect_right(self._begins, slot) - 1
        if phase + 1 == len(self._begins):
            return 1.0
        into = slot - self._begins[phase] if self._trained[phase + 1] > self._trained[phase] else 0
        return (self._trained[phase] + into) / self._trained[-1]
