"""The position of a run: slot, turn and phase; and the slots before which it stops, pauses or is saved."""

from bisect import bisect_right
from itertools import accumulate
from typing import Any

from protocol.messages.choreography import PHASES
from protocol.messages.plan import RunPlan


class Timeline:
    """The position of a run. Slots count from 0; `slot` is the one being played, or the next between two slots.

    `first_slot`: where this part of the run began, later than 0 if it was resumed. `stop_before`: the slot that is not
    played any more. `checkpoint_at`: the slot before which the run is saved next. `pause_at`: the slot before which it
    pauses, if it has been asked to.
    """

    def __init__(self, plan: RunPlan) -> None:
        self.slot = 0
        self.turn = 0
        self.first_slot = 0
        self.stop_before = next((e.slot for e in plan.replay or () if e.event == "interrupted"), plan.slots)
        self.pause_at: int | None = None
        self.slots = plan.slots
        played = [phase for phase in plan.phases if phase.slots]
        self._phases = [PHASES.index(phase.name) for phase in played]
        self._phase_ends = list(accumulate(phase.slots for phase in played))
        self._episode_slots = plan.episode_slots
        self._checkpoint_every = plan.record.checkpoint_every
        self.checkpoint_at = self._next_checkpoint()

    @property
    def truncates(self) -> bool:
        """Whether the run's configuration cuts all episodes off after this slot."""
        return self._episode_slots is not None and (self.slot + 1) % self._episode_slots == 0

    @property
    def phase(self) -> int:
        """The index in PHASES of this slot's phase; in the closing turn, of the last one's."""
        return self._phase_of(min(self.slot, self.stop_before - 1))

    @property
    def ends_phase(self) -> bool:
        """Whether the next slot belongs to another phase, or none follows."""
        following = self.slot + 1
        if following in (self.stop_before, self.slots):
            return True
        return self._phase_of(following) != self._phase_of(self.slot)

    def next_slot(self) -> None:
        """A slot is over: what happens between two slots happens before the later one."""
        self.slot, self.turn = self.slot + 1, 0

    def checkpoint_done(self) -> None:
        """The run has been saved before this slot."""
        self.checkpoint_at = self._next_checkpoint()

    @property
    def phase_number(self) -> int:
        """Which of the run's phases this slot belongs to, from 0; the closing turn is after the last."""
        return bisect_right(self._phase_ends, self.slot)

    def snapshot(self) -> dict[str, Any]:
        """The position between two slots."""
        return {"slot": self.slot}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self.slot = self.first_slot = data["slot"]
        self.checkpoint_at = self._next_checkpoint()

    def _phase_of(self, slot: int) -> int:
        return self._phases[bisect_right(self._phase_ends, slot)]

    def _next_checkpoint(self) -> int | None:
        every = self._checkpoint_every
        return (self.slot // every + 1) * every if every else None
