"""Remarks on a run's results: nodes that are lost, rows that are missing, training without an update."""

import pytest

from controller.run_folder.remarks import Remarks
from protocol.messages.plan import PhasePlan
from protocol.messages.telemetry import Event, Progress, Scalars, Telemetry

LOST = Event("lost", 7, 0, "pair-1", "gone")
BACK = Event("rejoined", 9, 0, "pair-1", "")
TRAINED = Scalars(3, "trainer", {"updates": 10.0})
SCHEDULE = (PhasePlan("train", 20), PhasePlan("eval", 5))


def _after(*telemetry: Telemetry) -> Remarks:
    remarks = Remarks()
    for each in telemetry:
        remarks.take(each)
    return remarks


@pytest.mark.parametrize(
    ("telemetry", "remark"),
    [
        ((TRAINED, Progress(4)), ""),
        ((TRAINED, LOST), "pair-1 is lost since slot 7: its fallback acts"),
        ((TRAINED, LOST, BACK), ""),
        ((TRAINED, Event("lost", 25, 0, "pair-1", "it left in the closing turn")), ""),
        (
            (TRAINED, Event("lost", 7, 0, "trainer", "gone")),
            "trainer is lost since slot 7: nothing is learnt or decided there",
        ),
        (
            (TRAINED, Scalars(8, "trainer", {"rows_masked": 1.0}), Scalars(9, "trainer", {"rows_masked": 1234.0})),
            "the trainer learns without rows that did not come in time: 1,234 masked, 0 dropped",
        ),
        ((Scalars(3, "pair-0", {"updates": 1.0}),), ""),
        (
            (TRAINED, Scalars(8, "trainer", {"notes_unread": 4.0}), Scalars(9, "trainer", {"notes_unread": 1234.0})),
            "no part of the trainer reads 1,234 of its notes: dropped in summary.json names their kinds; read them, or "
            "do not send them",
        ),
        ((), "nothing was learnt in 20 slots of training: no learner had enough rows"),
    ],
)
def test_the_end_has_what_a_person_must_know(telemetry: tuple[Telemetry, ...], remark: str) -> None:
    assert _after(*telemetry).at_the_end(25, SCHEDULE, learns=True) == remark


def test_a_scheme_that_does_not_learn_is_not_expected_to() -> None:
    assert _after().at_the_end(25, SCHEDULE, learns=False) == ""
    assert _after().at_the_end(25, (PhasePlan("eval", 25),), learns=True) == ""
