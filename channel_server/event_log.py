"""The events of a run, each at a slot and turn, and the counts of what it rejects."""

from collections import Counter
from typing import Any, Literal

from channel_server.recorder import Recorder
from channel_server.timeline import Timeline
from protocol.messages.telemetry import Event

_LOGGED_PER_REASON = 20  # a flood of bad frames is counted in full, but logged only so often

EventKind = Literal["rejoined", "interrupted", "uploaded", "refused", "dropped", "warning", "paused", "continued"]


class EventLog:
    """Events go to the recorder; `dropped` counts what was rejected, by reason."""

    def __init__(self, recorder: Recorder, timeline: Timeline) -> None:
        self._recorder = recorder
        self._timeline = timeline
        self.dropped: Counter[str] = Counter()
        self._stops = 0

    def add(self, event: EventKind, node: str = "", reason: str = "") -> None:
        """Log an event at the present slot and turn."""
        self._recorder.event(Event(event, self._timeline.slot, self._timeline.turn, node, reason))

    def add_stop(self, seconds: float) -> None:
        """The channel server did not run for so long. On a machine that is always busy this would fill the log."""
        self._stops += 1
        if self._stops <= _LOGGED_PER_REASON:
            reason = f"it did not run for {seconds:.1f} s; this time counts for no time limit"
            self.add("warning", "channel server", reason)

    def reject(
        self, counted_as: str, event: Literal["dropped", "refused"], node: str, reason: str, number: int = 1
    ) -> None:
        """Count a rejection, or several, and log it unless many were counted for the same reason."""
        self.dropped[counted_as] += number
        if self.dropped[counted_as] - number < _LOGGED_PER_REASON:
            self.add(event, node, reason)

    def snapshot(self) -> dict[str, Any]:
        """The counts; logged events are in the run's folder."""
        return {"dropped": dict(self.dropped)}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self.dropped = Counter(data["dropped"])
