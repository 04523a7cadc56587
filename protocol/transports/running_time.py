"""A clock for time limits that stands while its process does not run."""

import time
from collections.abc import Callable

MIN_STOP_S = 0.5  # more than any loop here waits at a time

Clock = Callable[[], float]


class RunningTime:
    """The monotonic clock, without the stretches in which this process was stopped, frozen or starved.

    What a peer does not send meanwhile, this process could not have received: such a stretch counts for no time limit.
    Call `now` in every turn of a loop that waits for less than MIN_STOP_S at a time. `wall`, `cpu`: the clocks of the
    system, and of the processor time of this process, which distinguishes a stretch without running from one of long
    work. `counted_s`: so much of every stretch counts all the same, or the clock of a process that is starved for ever
    would stand for ever.
    """

    def __init__(
        self, wall: Clock = time.monotonic, cpu: Clock = time.process_time, *, counted_s: float = MIN_STOP_S
    ) -> None:
        self._wall, self._cpu = wall, cpu
        self._counted_s = counted_s
        self._last_wall, self._last_cpu = wall(), cpu()
        self._stopped_s = 0.0  # in all
        self._unreported_s = 0.0  # of them, not returned by `take_stop` yet

    def now(self) -> float:
        """Seconds; only differences have a meaning."""
        wall, cpu = self._wall(), self._cpu()
        idle_s = (wall - self._last_wall) - (cpu - self._last_cpu)
        self._last_wall, self._last_cpu = wall, cpu
        if idle_s > MIN_STOP_S:
            self._stopped_s += idle_s - self._counted_s
            self._unreported_s += idle_s
        return wall - self._stopped_s

    def take_stop(self) -> float:
        """For how long this process did not run, since the last call; 0 if it always did."""
        unreported_s, self._unreported_s = self._unreported_s, 0.0
        return unreported_s
