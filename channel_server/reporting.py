"""What is reported to a run's launcher: its progress, and how it ended."""

from collections.abc import Sequence

from channel_server.run_state import RunState
from channel_server.waiting import Waiting
from protocol.accounting.wire_book import Connection
from protocol.messages.telemetry import Ended, EndState, Progress, Spread, Telemetry

_MAX_AWAITED_SHOWN = 8


class Reporting:
    """Telemetry of a run's state. `fingerprint`: of this process."""

    def __init__(self, state: RunState, fingerprint: dict[str, str]) -> None:
        self._state = state
        self._fingerprint = fingerprint

    def telemetry(self, waiting: Waiting, awaited: Sequence[str]) -> list[Telemetry]:
        """What has been recorded since the last call, the map if there is a new one, and how far the run is.

        `awaited`: the names of the nodes that it waits for.
        """
        recorded, update = self._state.recorder.drain(), self._state.medium.map_update()
        shown = list(awaited[:_MAX_AWAITED_SHOWN])
        progress = Progress(self._state.timeline.slot, waiting.name, shown, len(awaited))
        return [*recorded, *([] if update is None else [update]), progress]

    def ended(
        self,
        end: tuple[EndState, str],
        *,
        roll_back: bool,
        wall_s: float,
        wire: list[Connection],
        times: tuple[Spread, Spread, int] | None,
    ) -> Ended:
        """The last telemetry. `times`: of a paced run, the lengths of its slots, how late they started, and this
        process's nice value."""
        state = self._state
        return Ended(
            state=end[0],
            reason=end[1],
            slots=state.timeline.slot,
            wall_s=wall_s,
            probes=state.medium.probes,
            dropped=dict(state.events.dropped),
            missed=dict(state.attendance.missed),
            wire=wire,
            fingerprint=self._fingerprint,
            paced=None if times is None else state.pace.summary(*times),
            roll_back=roll_back,
            trace_digest=state.recorder.trace_digest,
            air_rows_left_out=state.recorder.air_rows_left_out,
        )
