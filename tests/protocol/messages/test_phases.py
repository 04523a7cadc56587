"""How far training is, over phases that may alternate."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.messages.choreography import PHASES
from protocol.messages.phases import TrainingProgress

TRAIN = PHASES.index("train")


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), max_size=8))
def test_progress_is_the_share_of_training_slots_before_a_slot(phases: list[tuple[int, int]]) -> None:
    kinds = [phase for phase, slots in phases for _ in range(slots)]
    progress = TrainingProgress(phases)
    total = kinds.count(TRAIN)
    for slot in range(len(kinds) + 2):
        assert progress.at(slot) == (kinds[:slot].count(TRAIN) / total if total else 1.0)
