"""Episodes of every length: no scheme loses a row to learn from, and every home of a run plays the same ones."""

import pytest

from airtoll.testing import laws
from controller.config.catalogue import schemes
from tests.conformance.homes import HOMES, home_plan, homes

SAVED_AT = 70  # in training, which lasts from slot 20 to 69
LEARNING = [(scheme, world) for scheme, world in HOMES if schemes()[scheme].learns]


@pytest.mark.parametrize("episode_slots", [1, 2, 10])
@pytest.mark.parametrize(("scheme", "world"), LEARNING)
def test_every_slot_is_learnt_from_however_short_the_episodes(scheme: str, world: str, episode_slots: int) -> None:
    rows = laws.check_learns_from_every_slot(
        home_plan(scheme, world, slots=100, replicas=2), episode_slots, saved_at=SAVED_AT
    )
    assert min(rows) > 40


@pytest.mark.parametrize("episode_slots", [1, 2, 10])
@homes
def test_a_run_of_short_episodes_continues_from_its_checkpoint(scheme: str, world: str, episode_slots: int) -> None:
    """Saved between two episodes, and within one of ten slots."""
    plan = home_plan(scheme, world, slots=24, replicas=2, episode_slots=episode_slots)
    laws.check_resumes(plan, 14)
