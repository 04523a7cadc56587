"""Pauses and interrupts."""

from collections import deque

import msgspec
import pytest

from channel_server.waiting import Waiting
from protocol.messages.telemetry import Progress
from tests.channel_server.playing import check_replay, played, played_to_end, started
from tests.recording import assert_same_trace, in_process, plan_for, stepping


@pytest.mark.parametrize("asked_at", [0, 10])
def test_a_pause_holds_between_two_slots_and_leaves_no_mark_on_the_trace(asked_at: int) -> None:
    plan = plan_for("li2020/sla", slots=20)
    loopback, steps, recording = stepping(plan)
    run = loopback.run
    if asked_at == 0:
        assert run.pause() == []  # before anybody has joined
    for _ in steps:
        if run.slot == asked_at and run.waiting is not Waiting.RESUME:
            run.pause()
    assert (run.waiting, run.slot) == (Waiting.RESUME, asked_at + (asked_at > 0))
    loopback.send(run.resume())
    while loopback.step():
        pass
    for telemetry in run.telemetry():
        recording(telemetry)
    assert run.end == ("SUCCEEDED", "")
    assert [event.event for event in recording.events] == ["paused", "continued"]
    assert_same_trace(recording, in_process(plan))


def test_a_pause_taken_back_in_time_holds_nothing() -> None:
    loopback, steps, recording = stepping(plan_for("li2020/sla", slots=5))
    next(steps)
    loopback.run.pause()
    assert loopback.run.resume() == []
    assert list(steps)
    assert (loopback.run.end, recording.events) == (("SUCCEEDED", ""), [])


def test_a_paused_run_can_be_interrupted() -> None:
    loopback, steps, _ = stepping(plan_for("li2020/sla", slots=5))
    loopback.run.pause()
    deque(steps, maxlen=0)
    assert loopback.run.waiting is Waiting.RESUME
    loopback.send(loopback.run.interrupt())
    while loopback.step():
        pass
    assert loopback.run.end == ("STOPPED", "")


def test_an_interrupted_run_ends_after_its_slot_and_keeps_what_it_had() -> None:
    loopback, steps, recording = stepping(plan_for("li2020/sla", slots=50))
    for _ in steps:
        if loopback.run.slot == 20:
            loopback.run.interrupt()
    assert recording.ended is not None
    assert (recording.ended.state, recording.ended.slots) == ("STOPPED", 21)
    assert [window.last for window in recording.windows] == [20]
    replayed = in_process(msgspec.structs.replace(plan_for("li2020/sla", slots=50), replay=recording.past))
    assert_same_trace(recording, replayed)
    assert replayed.ended is not None
    assert replayed.ended.state == "STOPPED"


def test_a_node_that_is_lost_in_a_pause_may_come_back_in_it_or_be_waited_for() -> None:
    plan = plan_for("li2020/sla", slots=10, on_node_loss={"action": "pause"})
    loopback = started(plan)
    run = loopback.run
    for _ in played(loopback):
        if run.slot == 4 and run.state.timeline.pause_at is None:
            run.pause()
    loopback.leave(b"pair-2", "killed")
    loopback.leave(b"pair-3", "killed")
    loopback.join(b"again", "pair-3")
    loopback.send(run.resume())
    for _ in played(loopback):
        pass
    assert (run.waiting, run.slot, run.awaited) == (Waiting.LOST_NODES, 6, ["pair-2"])
    assert (run.pause(), run.waiting) == ([], Waiting.RESUME)
    assert loopback.core.timeouts() == {}  # in a pause the wait for lost nodes does not end
    loopback.join(b"once more", "pair-2")
    assert run.waiting is Waiting.RESUME
    loopback.send(run.resume())
    recording = played_to_end(loopback)
    assert run.end == ("SUCCEEDED", "")
    check_replay(plan, recording)


def test_telemetry_names_what_the_run_waits_for() -> None:
    loopback = started(plan_for("li2020/random", {"name": "d2d_underlay", "pairs": 10}, slots=2))
    progress = loopback.run.telemetry()[-1]
    assert isinstance(progress, Progress)
    assert (progress.waiting, progress.awaited_count) == ("REPLIES", 10)
    assert progress.awaited == [f"pair-{n}" for n in range(8)]
    played_to_end(loopback)
    last = loopback.run.telemetry()[-1]
    assert last == Progress(2, "NOTHING", [], 0)
