"""What every scheme keeps, in each of its worlds."""

import pytest

from controller.catalogue import schemes
from controller.launchers.building import build_world
from controller.launchers.in_process import Loopback
from protocol.snapshots import pack, unpack
from schemes.contract import Scheme
from tests.conformance.homes import home_plan, homes
from tests.impairments import MODELS, fits
from tests.recording import Recording, in_process, stepping

HELD_AT = 13


@pytest.mark.parametrize("model", ["ideal", *MODELS])
@homes
def test_state_between_slots_can_be_put_away_and_taken_up(scheme: str, world: str, model: str) -> None:
    """Snapshot and restore of every core at one slot boundary give the uninterrupted run."""
    if not fits(model, world):
        return
    plan = home_plan(scheme, world, slots=24, episode_slots=20, signalling=MODELS.get(model, "ideal"))
    first, steps, before = stepping(plan)
    first.core.slots.hold_at = HELD_AT
    for _ in steps:
        pass
    _drain(first, before)
    second, _, after = stepping(plan)
    _take_up(first, second)
    while second.core.stage != "ended":
        assert second.step()
    _drain(second, after)
    whole = in_process(plan)
    assert before.trace + after.trace == whole.trace
    assert before.air + after.air == whole.air
    assert [w.sums for w in before.windows + after.windows] == [w.sums for w in whole.windows]


def _take_up(first: Loopback, second: Loopback) -> None:
    """Go on in `second` where `first` is held, by way of bytes."""
    assert first.core.held
    second.core.restore(unpack(pack(first.core.snapshot())))
    second.core.slots.hold_at = HELD_AT
    second.seat_all()
    while second.step():
        pass
    for peer, session in first.sessions.items():
        old, new = session.node, second.sessions[peer].node
        assert old is not None
        assert new is not None
        new.restore(unpack(pack(old.snapshot())))
    second.send(second.core.release())


def _drain(loopback: Loopback, recording: Recording) -> None:
    for telemetry in loopback.core.slots.recorder.drain():
        recording(telemetry)


@homes
def test_a_card_that_tells_nothing_costs_no_byte(scheme: str, world: str) -> None:
    recording = in_process(home_plan(scheme, world, slots=30))
    silent = schemes()[scheme].card.tells == "nothing"
    assert silent == (not recording.air)


@pytest.mark.parametrize("scheme", schemes().values(), ids=schemes().keys())
def test_the_card_is_filled_in(scheme: Scheme) -> None:
    card = scheme.card
    assert all([card.summary, card.citation, card.equations, card.worlds, card.sees, card.tells])


@homes
def test_the_world_offers_the_views_and_reports_that_are_asked_for(scheme: str, world: str) -> None:
    plan = home_plan(scheme, world, slots=50)
    built = build_world(plan)
    state = built.begin(built.reset(0), 0, 0)
    for spec in plan.choreography.turns:
        if spec.view and spec.who == "network":
            assert built.report(state, spec.view)
        elif spec.view:
            assert len(built.measure(state, spec.view)) == len(built.agents)
    for report in plan.choreography.feedback:
        built.report(state, report)
