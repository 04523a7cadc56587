"""The kits: good schemes and worlds pass, and each rule that is broken is found."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from airtoll.templates import my_world
from airtoll.testing import check_scheme, laws, locality, resampling, schemes, worlds
from channel_server.worlds.contract import InfrastructureReport, SlotOutcome
from channel_server.worlds.d2d_underlay import D2DCell
from controller.execution.building import build_world
from protocol.messages.drawing import Drawing
from protocol.messages.kinds import Kind, LinkClass
from protocol.messages.spaces import Field, Space
from schemes.ours.random import CARD, SCHEME, RandomNode
from schemes.zhang2025.llq import CARD as LLQ
from tests.recording import in_process, plan_for

SMALL: dict[str, Any] = {"hidden": [8], "batch": 8, "upload_every_slots": 4, "push_every_slots": 8}


def _world(replicas: int = 1) -> my_world.MyWorld:
    return my_world.build(my_world.MyWorldParams(), seed=1, replicas=replicas)


def test_a_scheme_that_learns_passes() -> None:
    check_scheme("li2020/dqn", world={"name": "d2d_underlay", "pairs": 2, "rbs": 2}, params=SMALL, slots=60)


# schemes


def test_an_empty_entry_of_the_card_is_found() -> None:
    with pytest.raises(AssertionError, match="the card of ours/random has no equations"):
        schemes.check_card(replace(CARD, equations=""))


def test_a_card_that_hides_notes_is_found() -> None:
    with pytest.raises(AssertionError, match="the card says sends='nothing', the run had"):
        schemes.check_sends(plan_for("zhang2025/llq"), replace(LLQ, sends="nothing"))


def test_a_policy_that_forgets_state_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Forgetful(RandomNode):
        def on_turn(self, turn: Any) -> Any:
            self.seen = getattr(self, "seen", 0) + 1
            output = super().on_turn(turn)
            return output._replace(action=None) if self.seen > 16 else output

    monkeypatch.setattr("schemes.ours.random.SCHEME", replace(SCHEME, node=Forgetful))
    with pytest.raises(AssertionError, match="does not continue from its checkpoint before slot 13"):
        laws.check_resumes(plan_for("ours/random", slots=24), 13)


def test_a_policy_with_randomness_of_its_own_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    class Dicing(RandomNode):
        def on_turn(self, turn: Any) -> Any:
            return super().on_turn(turn)._replace(action=self._action.sample(np.random.default_rng(), self._replicas))

    monkeypatch.setattr("schemes.ours.random.SCHEME", replace(SCHEME, node=Dicing))
    with pytest.raises(AssertionError):
        laws.check_one_trace(plan_for("ours/random", slots=20))


def test_notes_that_are_in_one_book_only_are_found() -> None:
    plan = plan_for("zhang2025/llq", slots=10)
    laws.check_books(plan)
    recording = in_process(plan)
    missing = {name: laws.CarriedNotes(0, 0, 0, 0) for name in plan.nodes}
    with pytest.raises(AssertionError):
        laws.check_notes(recording.air, plan.nodes, missing)


# worlds


def test_a_measurement_that_leaks_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    measure = my_world.MyWorld.measure

    def leaking(world: Any, state: Any, view: str) -> Any:
        records = measure(world, state, view)
        records[0]["backlog"] = state.backlog.sum(axis=1)
        return records

    resampling.check_resampling(_world())
    monkeypatch.setattr(my_world.MyWorld, "measure", leaking)
    with pytest.raises(AssertionError, match="resample_unobserved redraws what node-0 measures in 'own'"):
        resampling.check_resampling(_world())


def test_a_leak_is_found_in_the_turns_of_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    measure = D2DCell.measure

    def leaking(world: Any, state: Any, view: str) -> Any:
        records = measure(world, state, view)
        records[0]["own_gain_db"] = records[1]["own_gain_db"]
        return records

    monkeypatch.setattr(D2DCell, "measure", leaking)
    with pytest.raises(AssertionError, match="pair-0 measures in the view 'observation' what"):
        locality.check_measurements(plan_for("li2020/untrained_actor", slots=3))


def test_a_measurement_outside_its_space_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    world = _world()
    worlds.check_spaces(world, 1)
    narrow = Space((Field("backlog", "i4", high=0), *world.views["own"][0].fields[1:]))
    monkeypatch.setattr(world, "views", {"own": [narrow] * 4})
    monkeypatch.setattr(world, "_params", replace(world._params, load=1.0))
    with pytest.raises(AssertionError, match="measures in the view 'own' what is outside its space"):
        worlds.check_spaces(world, 1)


def test_a_world_that_measures_others_than_those_asked_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    measure: Any = D2DCell.measure
    world = build_world(plan_for("li2020/untrained_actor"))
    worlds.check_measured_alone(world)
    monkeypatch.setattr(
        D2DCell, "measure", lambda self, state, view, nodes=(): measure(self, state, view)[: len(nodes) or 4]
    )
    with pytest.raises(AssertionError, match=r"'observation', \[3, 0\]\) is not what these nodes measure among all"):
        worlds.check_measured_alone(world)


def test_a_report_that_is_not_as_declared_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    world: Any = build_world(plan_for("li2020/sla"))
    worlds.check_reports(world, 1)
    other = InfrastructureReport("bs", "each pair", Kind.FEEDBACK, LinkClass.DOWNLINK, Space((Field("bit", "u4"),)), "")
    monkeypatch.setattr(world, "reports", {"outage": other})
    with pytest.raises(AssertionError, match="a note of 'outage' is outside its space"):
        worlds.check_reports(world, 1)


def test_a_state_that_is_changed_in_place_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    transmit = my_world.MyWorld.transmit

    def changing(world: Any, state: Any, actions: Any) -> tuple[Any, SlotOutcome]:
        after, outcome = transmit(world, state, actions)
        state.backlog[...] += 1
        return replace(after, backlog=state.backlog), outcome

    monkeypatch.setattr(my_world.MyWorld, "begin", lambda *given, **_: given[1])
    monkeypatch.setattr(my_world.MyWorld, "transmit", changing)
    with pytest.raises(AssertionError):
        worlds.check_snapshots(_world())


def test_a_drawing_that_is_not_finite_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    worlds.check_drawing(_world())
    broken = Drawing("", float("nan"), 1, 0, 1)
    monkeypatch.setattr(my_world.MyWorld, "render", lambda *_: broken)
    with pytest.raises(AssertionError, match="a number that is not finite"):
        worlds.check_drawing(_world())


def test_an_estimate_of_memory_that_is_too_low_is_found() -> None:
    params = my_world.MyWorldParams(nodes=100)
    worlds.check_memory(my_world.WORLD, params, 20)
    with pytest.raises(AssertionError, match="memory_bytes gives 1000, but the first slots take"):
        worlds.check_memory(replace(my_world.WORLD, memory_bytes=lambda *_: 1000), params, 20)
