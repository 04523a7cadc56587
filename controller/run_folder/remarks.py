"""What a person must know before trusting a run's results: nodes that are lost, and learning that fell short."""

from collections.abc import Iterator, Sequence

from protocol.messages.kinds import TRAINER_NAME
from protocol.messages.plan import PhasePlan
from protocol.messages.telemetry import Event, Scalars, Telemetry


class Remarks:
    """Follows a run's telemetry. `updates`, `rows_masked`, `rows_dropped`, `notes_unread`: scalars of nodes."""

    def __init__(self) -> None:
        self._lost_at: dict[str, int] = {}  # by node that is lost
        self._of_trainer: dict[str, float] = {}
        self._has_learnt = False

    def take(self, telemetry: Telemetry) -> None:
        """Telemetry in the order in which it comes; all but events and scalars changes nothing."""
        match telemetry:
            case Event("lost", slot, _, node):
                self._lost_at.setdefault(node, slot)
            case Event("rejoined", _, _, node):
                self._lost_at.pop(node, None)
            case Scalars(_, node, scalars):
                self._has_learnt = self._has_learnt or scalars.get("updates", 0) > 0
                if node == TRAINER_NAME:
                    self._of_trainer |= scalars
            case _:
                pass

    def now(self) -> str:
        """The remarks while the run goes on; empty if there are none."""
        return "; ".join([*self._of_lost(None), *self._of_trainer_rows()])

    def at_the_end(self, slots: int, schedule: Sequence[PhasePlan], *, learns: bool) -> str:
        """The remarks on a run that has ended after so many slots. `learns`: whether its scheme learns."""
        remarks = [*self._of_lost(slots), *self.of_learning(schedule, ended=True, learns=learns)]
        return "; ".join(remarks)

    def of_learning(self, schedule: Sequence[PhasePlan], *, ended: bool, learns: bool) -> Iterator[str]:
        """The remarks on learning alone, of a run that has `ended` or goes on."""
        yield from self._of_trainer_rows()
        training = sum(phase.slots for phase in schedule if phase.name == "train")
        if ended and learns and training and not self._has_learnt:
            yield f"nothing was learnt in {training:,} slots of training: no learner had enough rows"

    def _of_lost(self, slots: int | None) -> Iterator[str]:
        for node, slot in self._lost_at.items():
            if slots is None or slot < slots:  # a node that leaves in the closing turn is not missed
                yield f"{node} is lost since slot {slot:,}: {_CONSEQUENCES.get(node, 'its fallback acts')}"

    def _of_trainer_rows(self) -> Iterator[str]:
        masked, dropped = (int(self._of_trainer.get(name, 0)) for name in ("rows_masked", "rows_dropped"))
        if masked or dropped:
            yield f"the trainer learns without rows that did not come in time: {masked:,} masked, {dropped:,} dropped"
        if unread := int(self._of_trainer.get("notes_unread", 0)):
            yield f"no part of the trainer reads {unread:,} of its notes: {_UNREAD_FIX}"


_UNREAD_FIX = "dropped in summary.json names their kinds; read them, or do not send them"
_CONSEQUENCES = {TRAINER_NAME: "nothing is learnt or decided there"}
