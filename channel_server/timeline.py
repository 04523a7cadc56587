"""The position of a run: slot, turn and phase; and the slots before which it stops, pauses or is saved."""

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
        self._phases = [PHASES.index(p.name) for p in plan.phases for _ in range(p.slots)]
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
        return self._phases[min(self.slot, self.stop_before - 1)]

    @property
    def ends_phase(self) -> bool:
        """Whether no later slot belongs to this slot's phase, or none at all follows."""
        return self._phases[self.slot : self.slot + 2] != [self.phase] * 2 or self.slot + 1 == self.stop_before

    def next_slot(self) -> None:
        """A slot is over: what happens between two slots happens before the later one."""
        self.slot, self.turn = self.slot + 1, 0

    def checkpoint_done(self) -> None:
        """The run has been saved before this slot."""
        self.checkpoint_at = self._next_checkpoint()

    def snapshot(self) -> dict[str, Any]:
        """The position between two slots."""
        return {"slot": self.slot}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self.slot = self.first_slot = data["slot"]
        self.checkpoint_at = self._next_checkpoint()

    def _next_checkpoint(self) -> int | None:
        every = self._checkpoint_every
        return (self.slot // every + 1) * every if every else None
