"""The contract of every scheme, in each of its worlds."""

import pytest

from airtoll.testing import laws
from airtoll.testing import schemes as kit
from controller.config.catalogue import schemes
from schemes.contract import Scheme
from tests.conformance.homes import home_plan, homes
from tests.impairments import MODELS, fits

CHECKPOINT_SLOT = 13


@pytest.mark.parametrize("model", ["ideal", *MODELS])
@homes
def test_a_run_continues_from_its_checkpoint(scheme: str, world: str, model: str) -> None:
    """A run restored from a checkpoint gives the uninterrupted run, and so does the run that writes the checkpoint."""
    if not fits(model, world):
        return
    plan = home_plan(scheme, world, slots=24, episode_slots=20, signalling=MODELS.get(model, "ideal"))
    laws.check_resumes(plan, CHECKPOINT_SLOT)


@pytest.mark.parametrize("model", ["ideal", "all of it"])
@homes
def test_the_books_close_in_one_process(scheme: str, world: str, model: str) -> None:
    laws.check_books(home_plan(scheme, world, slots=30, signalling=MODELS.get(model, "ideal")))


@homes
def test_a_scheme_sends_no_byte_if_and_only_if_its_card_says_nothing(scheme: str, world: str) -> None:
    kit.check_sends(home_plan(scheme, world, slots=30), schemes()[scheme].card)


@pytest.mark.parametrize("scheme", schemes().values(), ids=schemes().keys())
def test_the_card_is_filled_in(scheme: Scheme) -> None:
    kit.check_card(scheme.card)


@homes
def test_the_world_has_the_views_and_reports_of_the_choreography(scheme: str, world: str) -> None:
    kit.check_views_and_reports(home_plan(scheme, world, slots=50))
