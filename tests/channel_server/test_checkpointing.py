"""Checkpoints: the run waits between two slots until its nodes have sent their states."""

import pytest

from channel_server.waiting import Waiting
from controller.execution.in_process import Loopback, run_in_process
from protocol.messages.codec import encode
from protocol.messages.node import Save, Saved
from protocol.messages.plan import RunPlan
from tests.channel_server.playing import played, played_to_end, recorded, started, time_out
from tests.recording import assert_same_trace, in_process, plan_for


def up_to_checkpoint(plan: RunPlan) -> Loopback:
    """Played to where the nodes are asked for their states, none of which has come."""
    loopback = started(plan)
    for _ in played(loopback):
        if loopback.run.waiting is Waiting.NODE_STATES:
            return loopback
    raise AssertionError("no node was asked for its state")


def test_a_node_that_is_killed_during_a_checkpoint_is_not_in_the_checkpoint_and_lost_after_it() -> None:
    plan = plan_for("li2020/sla", slots=10, checkpoint_every=5)
    loopback = up_to_checkpoint(plan)
    loopback.leave(b"pair-2", "killed")
    for _ in played(loopback):
        pass
    whole = recorded(loopback)
    [(past, resumed)] = whole.pasts
    assert (past.slot, sorted(past.nodes)) == (5, [0, 1, 3])
    run_in_process(plan, resumed, past=past)
    assert_same_trace(whole, resumed)
    assert [(e.event, e.slot) for e in resumed.events] == [("lost", 5)]


def test_a_node_that_joins_during_a_checkpoint_is_in_it() -> None:
    plan = plan_for("li2020/sla", slots=10, checkpoint_every=5)
    loopback = started(plan)
    for _ in played(loopback):
        if loopback.run.slot == 2 and b"pair-2" in loopback.sessions:
            loopback.leave(b"pair-2", "killed")
        if loopback.run.waiting is Waiting.NODE_STATES and b"again" not in loopback.sessions:
            loopback.join(b"again", "pair-2")
    whole = recorded(loopback)
    [(past, resumed)] = whole.pasts
    assert sorted(past.nodes) == [0, 1, 2, 3]
    run_in_process(plan, resumed, past=past)
    assert_same_trace(whole, resumed)
    assert whole.ended is not None
    assert resumed.ended is not None
    assert resumed.ended.missed == whole.ended.missed == {"pair-2": 3}


def test_there_is_no_checkpoint_of_a_run_that_is_about_to_fail() -> None:
    loopback = up_to_checkpoint(
        plan_for("li2020/sla", slots=10, checkpoint_every=5, on_node_loss={"action": "rollback"})
    )
    loopback.leave(b"pair-2", "killed")
    for _ in played(loopback):
        pass
    assert not recorded(loopback).pasts
    assert loopback.run.end == ("FAILED", "pair-2 is lost: killed")


def test_a_node_that_does_not_send_its_state_is_lost() -> None:
    loopback = up_to_checkpoint(plan_for("li2020/sla", slots=10, checkpoint_every=5))
    assert loopback.run.awaited == [f"pair-{n}" for n in range(4)]
    time_out(loopback)
    assert loopback.run.checkpoint_due


def test_a_state_that_nobody_asked_for_is_rejected() -> None:
    loopback = up_to_checkpoint(plan_for("li2020/sla", slots=10, checkpoint_every=5))
    loopback.deliver(b"pair-2", encode(Saved(4, b"late")))
    loopback.deliver(b"unknown", encode(Saved(5, b"")))
    loopback.deliver(b"pair-2", encode(Save(5)))
    assert loopback.run.state.events.dropped == {"unrequested state": 2, "frame of the wrong shape": 1}


@pytest.mark.parametrize(("asked_at", "pauses_at"), [(0, 1), (4, 5), (5, 5), (6, 7)])
def test_a_pause_and_a_checkpoint_do_not_disturb_each_other(asked_at: int, pauses_at: int) -> None:
    """At slot 5 they fall together, and the checkpoint comes first."""
    plan = plan_for("li2020/sla", slots=12, checkpoint_every=5)
    loopback = started(plan)
    run = loopback.run
    for _ in played(loopback):
        if run.slot == asked_at and run.state.timeline.pause_at is None:
            run.pause()
    assert (run.waiting, run.checkpoint_due, run.slot) == (Waiting.RESUME, False, pauses_at)
    loopback.send(run.resume())
    recording = played_to_end(loopback)
    assert [past.slot for past, _ in recording.pasts] == [5, 10]
    assert [event.event for event in recording.events] == ["paused", "continued"]
    assert_same_trace(recording, in_process(plan))


def test_a_pause_that_is_asked_for_and_taken_back_during_a_checkpoint_is_none() -> None:
    loopback = up_to_checkpoint(plan_for("li2020/sla", slots=10, checkpoint_every=5))
    loopback.run.pause()
    assert (loopback.run.waiting, loopback.run.resume()) == (Waiting.NODE_STATES, [])
    recording = played_to_end(loopback)
    assert (loopback.run.end, recording.events, len(recording.pasts)) == (("SUCCEEDED", ""), [], 1)
