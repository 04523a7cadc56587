"""Which slots belong to which phase."""

import pytest

from controller.config.run_config import Phases
from controller.config.schedule import EXECUTION_PHASES, TRAINING_PHASES, PhaseSpan, completed_slots, span_at, spans
from protocol.messages.plan import PhasePlan

SCHEDULE = (PhasePlan("warmup", 2), PhasePlan("train", 3), PhasePlan("eval", 1))


def test_phases_follow_each_other() -> None:
    assert spans(SCHEDULE) == [PhaseSpan("warmup", 0, 2), PhaseSpan("train", 2, 5), PhaseSpan("eval", 5, 6)]
    assert [span.slots for span in spans(SCHEDULE)] == [2, 3, 1]


def test_a_slot_has_one_phase_and_the_closing_turn_the_last() -> None:
    phases = [span_at(slot, spans(SCHEDULE)).phase for slot in range(7)]
    assert phases == ["warmup", "warmup", "train", "train", "train", "eval", "eval"]


@pytest.mark.parametrize(("slots", "training", "execution"), [(6, 5, 1), (5, 5, 0), (3, 3, 0), (1, 1, 0), (0, 0, 0)])
def test_only_completed_slots_count(slots: int, training: int, execution: int) -> None:
    assert completed_slots(SCHEDULE, slots, of=TRAINING_PHASES) == training
    assert completed_slots(SCHEDULE, slots, of=EXECUTION_PHASES) == execution


def test_a_phase_that_comes_again_has_a_round_of_its_own() -> None:
    schedule = Phases(warmup=1, train=3, eval=2, rounds=2).schedule
    assert spans(schedule) == [
        PhaseSpan("warmup", 0, 1, 1),
        PhaseSpan("train", 1, 4, 1),
        PhaseSpan("eval", 4, 6, 1),
        PhaseSpan("train", 6, 9, 2),
        PhaseSpan("eval", 9, 11, 2),
    ]
    assert completed_slots(schedule, 8, of=["train"]) == 5
