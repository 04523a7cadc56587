"""The engine of outside learners: the run that any scheme plays, with the actions given from outside."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from msgspec.structs import replace

from airtoll.environments.slot_engine import SlotEngine
from channel_server.worlds.contract import World
from controller.config.catalogue import schemes
from controller.execution.building import build_world
from protocol.accounting.trace import TraceField
from protocol.messages.kinds import Kind
from protocol.messages.plan import RunPlan
from protocol.messages.spaces import Records
from schemes.contract import to_trainer
from tests.impairments import MODELS
from tests.networks import params_for
from tests.recording import CELL, Recording, assert_same_trace, in_process, plan_for

Choose = Callable[[int, int], Records | None]  # slot and agent to an action, None to keep the last


def played(plan: RunPlan, agents: Sequence[int], choose: Choose, world: World | None = None) -> Recording:
    """The run whose agents act as chosen."""
    recording = Recording()
    engine = SlotEngine(plan, world or build_world(plan), agents, recording)
    result = engine.start()
    while not result.over:
        result = engine.act({agent: choose(turn.slot, agent) for agent, turn in result.turns.items()})
    return recording


def actions_of(native: Recording, world: World) -> Choose:
    """The actions of a run that recorded its values."""
    chosen = {(slot, node): value for slot, _, node, field, value in native.values if field == TraceField.ACTION}

    def choose(slot: int, agent: int) -> Records | None:
        encoded = chosen.get((slot, agent))
        return None if encoded is None else world.actions[agent].decode(encoded)

    return choose


def assert_same_run(native: Recording, outside: Recording) -> None:
    assert_same_trace(native, outside)
    assert native.values == outside.values
    assert native.air == outside.air
    assert native.toll == outside.toll
    assert [window.sums for window in native.windows] == [window.sums for window in outside.windows]
    assert native.ended is not None
    assert outside.ended is not None
    assert (outside.ended.state, outside.ended.slots) == (native.ended.state, native.ended.slots)


@pytest.mark.parametrize("scheme", schemes())
@pytest.mark.parametrize("settings", [{}, {"replicas": 3, "episode_slots": 7}], ids=["one world", "replicas"])
def test_playing_a_schemes_actions_from_outside_is_the_schemes_own_run(scheme: str, settings: dict[str, Any]) -> None:
    chosen = None
    if scheme == "ours/network":
        chosen, settings = CELL, settings | {"params": params_for(CELL)}
    plan = plan_for(scheme, chosen, slots=30, record={"values": True}, **settings)
    native, world = in_process(plan), build_world(plan)
    agents, choose = range(len(world.agents)), actions_of(native, world)
    if any(turn.order != "all" for turn in plan.choreography.turns):
        with pytest.raises(ValueError, match="act one after another"):
            played(plan, agents, choose, world)
        return
    assert_same_run(native, played(plan, agents, choose, world))


@pytest.mark.parametrize("scheme", ["zhang2025/llq", "li2020/greedy_central"])
def test_notes_are_late_lost_and_limited_as_in_the_schemes_own_run(scheme: str) -> None:
    plan = plan_for(scheme, slots=30, record={"values": True}, signalling=MODELS["all of it"])
    native, world = in_process(plan), build_world(plan)
    assert_same_run(native, played(plan, range(len(world.agents)), actions_of(native, world), world))


@pytest.mark.parametrize("scheme", ["zhang2025/q_csma", "li2020/maac"])
def test_agents_that_are_not_played_follow_the_scheme(scheme: str) -> None:
    plan = plan_for(scheme, slots=30, record={"values": True})
    native, world = in_process(plan), build_world(plan)
    assert_same_run(native, played(plan, [1], actions_of(native, world), world))


def test_another_action_is_another_run() -> None:
    plan = plan_for("li2020/untrained_actor", slots=3, record={"values": True})
    native, world = in_process(plan), build_world(plan)
    silent = played(plan, range(len(world.agents)), lambda _, agent: world.silent(agent), world)
    assert native.trace != silent.trace


def test_a_scheme_that_learns_while_another_plays_one_agent_is_trained_as_ever() -> None:
    plan = plan_for("li2020/maac", slots=None, phases={"warmup": 10, "train": 20}, params=SMALL)
    learnt: set[str] = set()
    recording = played(plan, [0], lambda _, agent: build_world(plan).silent(agent))
    for report in recording.scalars:
        learnt |= report.scalars.keys()
    assert "updates" not in learnt  # the trainer waits for the histories of the agent that is played
    histories = {row.source for row in recording.air if row.kind.name == "HISTORY"}
    assert histories == {1, 2, 3}


SMALL = {"actor_hidden": [4], "critic_hidden": [4, 4], "batch": 4}


def test_an_action_outside_its_space_is_rejected_before_the_slot() -> None:
    plan = plan_for("li2020/untrained_actor", slots=2)
    world = build_world(plan)
    engine = SlotEngine(plan, world, [0, 1, 2, 3], Recording())
    result = engine.start()
    wrong = world.silent(3)
    wrong["rb"] = 3  # of 3 RBs, 0 to 2
    with pytest.raises(ValueError, match="outside its space"):
        engine.act({agent: wrong if agent == 3 else world.silent(agent) for agent in result.turns})
    after = engine.act({agent: world.silent(agent) for agent in result.turns})
    assert [turn.slot for turn in after.turns.values()] == [1] * 4


def test_a_rejected_action_leaves_no_mark_on_the_other_agents() -> None:
    """What the earlier agents resend in this turn is not lost with it."""
    plan = plan_for("li2020/maac", slots=4, signalling={"resend_after_slots": 1})
    world, recordings = build_world(plan), (Recording(), Recording())
    silent = {agent: world.silent(agent) for agent in range(4)}
    wrong = world.silent(3)
    wrong["rb"] = 3
    for recording in recordings:
        engine = SlotEngine(plan, build_world(plan), range(4), recording)
        engine.start()
        node = engine._nodes[0].node
        assert node is not None
        node._delivery.send([to_trainer(Kind.HISTORY, b"rows")], 0)  # as if it had been lost on its way
        engine.act(silent)
        if recording is recordings[1]:
            with pytest.raises(ValueError, match="outside its space"):
                engine.act(silent | {3: wrong})
            with pytest.raises(KeyError):
                engine.act({0: silent[0]})
        while not engine.act(silent).over:
            pass
    assert [(row.slot, row.attempt) for row in recordings[0].air if row.kind == Kind.HISTORY] == [(1, 2)]
    assert_same_trace(*recordings)
    assert recordings[0].air == recordings[1].air


def test_closing_stops_the_run_where_it_stands() -> None:
    plan = plan_for("zhang2025/llq", slots=50)
    world, recording = build_world(plan), Recording()
    engine = SlotEngine(plan, world, range(4), recording)
    engine.start()
    engine.act({agent: world.silent(agent) for agent in range(4)})
    engine.close()
    assert recording.ended is not None
    assert (recording.ended.state, recording.ended.slots) == ("STOPPED", 1)
    assert sum(row.toll.notes for window in recording.toll for row in window.rows) == 4


@pytest.mark.parametrize("order", ["one by one", "rotating", "random"])
def test_agents_that_act_in_turn_are_played_one_at_a_time(order: str) -> None:
    plan = in_turn(plan_for("li2020/untrained_actor", slots=6, record={"values": True}), order)
    native, world = in_process(plan), build_world(plan)
    with pytest.raises(ValueError, match=r"act one after another .*gym_env"):
        SlotEngine(plan, world, [0, 1], Recording())
    assert_same_run(native, played(plan, [2], actions_of(native, world), world))


def in_turn(plan: RunPlan, order: str) -> RunPlan:
    choreography = plan.choreography
    turns = tuple(replace(spec, order=order) for spec in choreography.turns)
    return replace(plan, choreography=replace(choreography, turns=turns))
