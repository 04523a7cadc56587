"""When the slots of a paced run start, and how late they did. Times are arguments, in s of a monotonic clock."""

from collections import Counter

from protocol.messages.telemetry import Spread

_PER_S = 100_000  # distributions are kept to a hundredth of a millisecond
_MS_PER_S = 1000.0


class Metronome:
    """Slot n starts n slot lengths after the first, never earlier; if the run was not ready then, as soon as it is.

    `length_s`: from one start to the next. `lateness_s`: how far starts lay behind the clock. `overtime_s`: for how
    long after a deadline the frames are still read that came before it.
    """

    def __init__(self, slot_ms: float) -> None:
        self._slot_s = slot_ms / _MS_PER_S
        self.overtime_s = self._slot_s / 10
        self._first: tuple[int, float] | None = None  # a slot and when it started: later ones are counted from there
        self._began: float | None = None
        self.length_s = Durations()
        self.lateness_s = Durations()

    def begin_of(self, slot: int, now: float) -> float:
        """When a slot is to start: now, if it is the first."""
        if self._first is None:
            return now
        first, began = self._first
        return began + (slot - first) * self._slot_s

    def begin(self, slot: int, now: float) -> None:
        """A slot begins."""
        self.lateness_s.add(now - self.begin_of(slot, now))
        if self._began is not None:
            self.length_s.add(now - self._began)
        if self._first is None:
            self._first = (slot, now)
        self._began = now

    def deadline(self, part: float) -> float:
        """When that part of the slot that has begun is over."""
        return (self._began or 0.0) + part * self._slot_s

    def rest(self) -> None:
        """The run waits between two slots without its clock: the next slot is the first of a new count."""
        self._first = self._began = None

    def spreads(self) -> tuple[Spread, Spread]:
        """The distributions of `length_s` and `lateness_s`, in ms."""
        return self.length_s.spread(), self.lateness_s.spread()


class Durations:
    """A distribution of times. It is kept as a table of its values, so it grows with their range, not their number."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._sum_s = self._max_s = 0.0

    def add(self, seconds: float) -> None:
        """One time."""
        self._counts[round(seconds * _PER_S)] += 1
        self._sum_s += seconds
        self._max_s = max(self._max_s, seconds)

    def spread(self) -> Spread:
        """Mean, median, 99th percentile and maximum, in ms; zeros if there was nothing."""
        number = self._counts.total()
        mean_ms = _MS_PER_S * self._sum_s / number if number else 0.0
        return Spread(mean_ms, self._percentile_ms(50), self._percentile_ms(99), _MS_PER_S * self._max_s)

    def _percentile_ms(self, percent: int) -> float:
        left = self._counts.total() * percent / 100
        for value in sorted(self._counts):
            left -= self._counts[value]
            if left <= 0:
                return _MS_PER_S * value / _PER_S
        return 0.0
