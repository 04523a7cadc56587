"""The contract of every scheme, in each of its worlds."""

from typing import Any

import pytest

from controller.config.catalogue import schemes
from controller.execution.building import build_world
from controller.execution.in_process import run_in_process
from schemes.contract import Scheme
from tests.conformance.homes import home_plan, homes
from tests.impairments import MODELS, fits
from tests.recording import Checkpointed, in_process

CHECKPOINT_SLOT = 13


@pytest.mark.parametrize("model", ["ideal", *MODELS])
@homes
def test_a_run_continues_from_its_checkpoint(scheme: str, world: str, model: str) -> None:
    """A run restored from a checkpoint gives the uninterrupted run, and so does the run that writes the checkpoint."""
    if not fits(model, world):
        return
    how: dict[str, Any] = {"slots": 24, "episode_slots": 20, "signalling": MODELS.get(model, "ideal")}
    plan = home_plan(scheme, world, **how)
    whole = in_process(plan)
    kept = Checkpointed()
    run_in_process(home_plan(scheme, world, **how, checkpoint_every=CHECKPOINT_SLOT), kept)
    [(past, after)] = kept.pasts
    run_in_process(plan, after, past=past)
    for recording in (kept, after):
        assert recording.trace == whole.trace
        assert recording.air == whole.air
        assert [w.sums for w in recording.windows] == [w.sums for w in whole.windows]
        assert recording.ended is not None
        assert whole.ended is not None
        assert (recording.ended.slots, recording.ended.probes) == (24, whole.ended.probes)


@homes
def test_a_scheme_sends_no_byte_if_and_only_if_its_card_says_nothing(scheme: str, world: str) -> None:
    recording = in_process(home_plan(scheme, world, slots=30))
    silent = schemes()[scheme].card.sends == "nothing"
    assert silent == (not recording.air)


@pytest.mark.parametrize("scheme", schemes().values(), ids=schemes().keys())
def test_the_card_is_filled_in(scheme: Scheme) -> None:
    card = scheme.card
    assert all([card.summary, card.citation, card.equations, card.worlds, card.observes, card.sends, card.paper])


@homes
def test_the_world_has_the_views_and_reports_of_the_choreography(scheme: str, world: str) -> None:
    plan = home_plan(scheme, world, slots=50)
    built = build_world(plan)
    state = built.begin(built.reset(), 0)
    for spec in plan.choreography.turns:
        if spec.view and spec.who == "network":
            assert built.report(state, spec.view)
        elif spec.view:
            assert len(built.measure(state, spec.view)) == len(built.agents)
    for report in plan.choreography.feedback:
        built.report(state, report)
