"""What the channel server does with a loss beside the fallback, and how it is held for a checkpoint."""

from collections.abc import Iterator

import msgspec
import pytest

from controller.execution.building import build_world
from controller.execution.in_process import Loopback, run_in_process
from protocol.messages.codec import encode
from protocol.messages.node import Save, Saved
from protocol.messages.plan import RunPlan
from tests.conformance.homes import home_plan
from tests.recording import Checkpointed, Recording, assert_same_trace, in_process, plan_for


def _played(loopback: Loopback) -> Iterator[None]:
    """Step by step, checkpoints taken, until nothing more happens by itself."""
    core = loopback.core
    while core.stage != "ended":
        if core.saved:
            loopback.send(core.checkpoint(wall_s=0.0, wire=[]))
        if not loopback.step():
            return
        yield


def _played_on(loopback: Loopback) -> Checkpointed:
    for _ in _played(loopback):
        pass
    return _told(loopback)


def _told(loopback: Loopback) -> Checkpointed:
    recording = Checkpointed()
    for telemetry in loopback.core.slots.recorder.drain():
        recording(telemetry)
    recording(loopback.core.ended(wall_s=0.0, wire=[]))
    return recording


def _started(plan: RunPlan) -> Loopback:
    loopback = Loopback(plan, build_world(plan))
    loopback.seat_all()
    return loopback


def _lose_at(loopback: Loopback, slot: int, *names: str) -> None:
    """Play on; these nodes are killed in this slot."""
    for _ in _played(loopback):
        if loopback.core.slots.slot == slot:
            for name in names:
                if name.encode() in loopback.sessions:
                    loopback.leave(name.encode(), "killed")


def _check_replay(plan: RunPlan, recording: Recording) -> None:
    replayed = in_process(msgspec.structs.replace(plan, replay=recording.past))
    assert_same_trace(recording, replayed)
    assert recording.ended is not None
    assert replayed.ended is not None
    assert (replayed.ended.state, replayed.ended.slots) == (recording.ended.state, recording.ended.slots)


@pytest.mark.parametrize(("policy", "lost"), [("pause", ["pair-2"]), ("restart", [f"pair-{n}" for n in range(4)])])
def test_a_run_waits_for_who_comes_back(policy: str, lost: list[str]) -> None:
    """A pause for anyone, and restarted agents when none is left."""
    plan = plan_for("li2020/sla", slots=10, on_node_loss={"policy": policy})
    loopback = _started(plan)
    _lose_at(loopback, 4, *lost)
    assert (loopback.core.waits_for_lost, loopback.core.slots.slot, loopback.core.awaited) == (True, 5, lost)
    loopback.join(b"again", "pair-2")
    for _ in _played(loopback):
        pass
    recording = _told(loopback)
    assert recording.ended is not None
    assert (recording.ended.state, recording.ended.missed["pair-2"]) == ("SUCCEEDED", 1)
    _check_replay(plan, recording)


def test_a_pause_ends_when_nobody_comes() -> None:
    loopback = _started(plan_for("li2020/sla", slots=10, on_node_loss={"policy": "pause"}))
    _lose_at(loopback, 4, "pair-2")
    loopback.core.on_timeout("silent for 60 s")
    assert loopback.core.end == ("FAILED", "pair-2 did not come back: silent for 60 s")


def test_a_pause_can_be_interrupted() -> None:
    plan = plan_for("li2020/sla", slots=10, on_node_loss={"policy": "pause"})
    loopback = _started(plan)
    _lose_at(loopback, 4, "pair-2")
    loopback.send(loopback.core.interrupt())
    for _ in _played(loopback):
        pass
    recording = _told(loopback)
    assert loopback.core.end == ("STOPPED", "")
    _check_replay(plan, recording)


def test_a_trainer_lost_while_its_answer_is_waited_for_does_not_stop_the_run() -> None:
    plan = home_plan("li2020/maac", "d2d_underlay", slots=30, train_delay_slots=0)
    loopback = _started(plan)
    for _ in _played(loopback):
        slots = loopback.core.slots
        if b"trainer" in loopback.sessions and slots.gate in [due.gate for due in slots.due]:
            loopback.leave(b"trainer", "killed")
    recording = _told(loopback)
    assert loopback.core.end == ("SUCCEEDED", "")
    assert recording.ended is not None
    assert recording.ended.missed["trainer"] > 0
    _check_replay(plan, recording)


def test_a_loss_may_ask_for_a_rollback() -> None:
    loopback = _started(plan_for("li2020/sla", slots=10, on_node_loss={"policy": "rollback"}))
    _lose_at(loopback, 4, "pair-2")
    ended = _told(loopback).ended
    assert ended is not None
    assert (ended.state, ended.reason, ended.roll_back) == ("FAILED", "pair-2 is lost: killed", True)


def _held(plan: RunPlan) -> Loopback:
    """Up to where the nodes are asked for their states, none of which has come."""
    loopback = _started(plan)
    for _ in _played(loopback):
        if loopback.core.held:
            return loopback
    raise AssertionError("the run was never held")


def test_a_node_that_is_killed_while_the_run_is_held_is_not_in_the_checkpoint_and_lost_after_it() -> None:
    plan = plan_for("li2020/sla", slots=10, checkpoint_every=5)
    loopback = _held(plan)
    loopback.leave(b"pair-2", "killed")
    for _ in _played(loopback):
        pass
    whole = _told(loopback)
    [(past, resumed)] = whole.pasts
    assert (past.slot, sorted(past.nodes)) == (5, [0, 1, 3])
    run_in_process(plan, resumed, past=past)
    assert_same_trace(whole, resumed)
    assert [(e.event, e.slot) for e in resumed.events] == [("lost", 5)]


def test_a_node_that_comes_while_the_run_is_held_is_in_the_checkpoint() -> None:
    plan = plan_for("li2020/sla", slots=10, checkpoint_every=5)
    loopback = _started(plan)
    for _ in _played(loopback):
        if loopback.core.slots.slot == 2 and b"pair-2" in loopback.sessions:
            loopback.leave(b"pair-2", "killed")
        if loopback.core.held and b"again" not in loopback.sessions:
            loopback.join(b"again", "pair-2")
    whole = _told(loopback)
    [(past, resumed)] = whole.pasts
    assert sorted(past.nodes) == [0, 1, 2, 3]
    run_in_process(plan, resumed, past=past)
    assert_same_trace(whole, resumed)
    assert whole.ended is not None
    assert resumed.ended is not None
    assert resumed.ended.missed == whole.ended.missed == {"pair-2": 3}


def test_there_is_no_checkpoint_of_a_run_that_is_about_to_fail() -> None:
    loopback = _held(plan_for("li2020/sla", slots=10, checkpoint_every=5, on_node_loss={"policy": "rollback"}))
    loopback.leave(b"pair-2", "killed")
    for _ in _played(loopback):
        pass
    assert not _told(loopback).pasts
    assert loopback.core.end == ("FAILED", "pair-2 is lost: killed")


def test_a_node_that_keeps_its_state_to_itself_is_given_up() -> None:
    loopback = _held(plan_for("li2020/sla", slots=10, checkpoint_every=5))
    assert loopback.core.awaited == [f"pair-{n}" for n in range(4)]
    loopback.core.on_timeout("silent for 10 s")
    assert loopback.core.saved


def test_a_state_that_nobody_asked_for_is_dropped() -> None:
    loopback = _held(plan_for("li2020/sla", slots=10, checkpoint_every=5))
    loopback.deliver(b"pair-2", encode(Saved(4, b"late")))
    loopback.deliver(b"stranger", encode(Saved(5, b"")))
    loopback.deliver(b"pair-2", encode(Save(5)))
    assert loopback.core.dropped == {"state nobody asked for": 2, "frame of the wrong shape": 1}


@pytest.mark.parametrize(("asked_at", "rests_at"), [(0, 1), (4, 5), (5, 5), (6, 7)])
def test_a_pause_and_a_checkpoint_do_not_disturb_each_other(asked_at: int, rests_at: int) -> None:
    """At slot 5 they fall together, and the checkpoint comes first; there the run is held when it is asked for."""
    plan = plan_for("li2020/sla", slots=12, checkpoint_every=5)
    loopback = _started(plan)
    core = loopback.core
    for _ in _played(loopback):
        if core.slots.slot == asked_at and core.slots.pause_at is None:
            core.pause()
    assert (core.rests, core.held, core.saved, core.slots.slot) == (True, False, False, rests_at)
    loopback.send(core.resume())
    recording = _played_on(loopback)
    assert [past.slot for past, _ in recording.pasts] == [5, 10]
    assert [event.event for event in recording.events] == ["paused", "continued"]
    assert_same_trace(recording, in_process(plan))


def test_a_pause_that_is_asked_for_and_taken_back_while_the_run_is_held_is_none() -> None:
    loopback = _held(plan_for("li2020/sla", slots=10, checkpoint_every=5))
    loopback.core.pause()
    assert (loopback.core.held, loopback.core.rests, loopback.core.resume()) == (True, False, [])
    recording = _played_on(loopback)
    assert (loopback.core.end, recording.events, len(recording.pasts)) == (("SUCCEEDED", ""), [], 1)


def test_a_node_that_is_lost_in_a_pause_may_come_back_in_it_or_be_waited_for() -> None:
    plan = plan_for("li2020/sla", slots=10, on_node_loss={"policy": "pause"})
    loopback = _started(plan)
    core = loopback.core
    for _ in _played(loopback):
        if core.slots.slot == 4 and core.slots.pause_at is None:
            core.pause()
    loopback.leave(b"pair-2", "killed")
    loopback.leave(b"pair-3", "killed")
    loopback.join(b"again", "pair-3")
    loopback.send(core.resume())
    for _ in _played(loopback):
        pass
    assert (core.waits_for_lost, core.slots.slot, core.awaited) == (True, 6, ["pair-2"])
    assert (core.pause(), core.rests) == ([], True)  # what is waited for in vain has no end in a pause
    loopback.join(b"once more", "pair-2")
    assert core.rests
    loopback.send(core.resume())
    recording = _played_on(loopback)
    assert core.end == ("SUCCEEDED", "")
    _check_replay(plan, recording)
