"""What a run does when nodes are lost: fallback, pause, rollback, failure."""

import msgspec
import pytest

from channel_server.waiting import Waiting
from controller.execution.building import build_world
from protocol.accounting.trace import TraceField
from protocol.messages.node import Bye
from tests.channel_server.playing import check_replay, lose_at, played, recorded, started, time_out
from tests.conformance.homes import home_plan
from tests.recording import assert_same_trace, in_process, plan_for, stepping

ACTION = TraceField.ACTION


def test_a_lost_agent_is_reported_and_its_fallback_acts() -> None:
    plan = plan_for("li2020/random", slots=10, on_node_loss={"fallback": "silent"}, record={"values": True})
    loopback, steps, recording = stepping(plan)
    for _ in steps:
        if loopback.run.slot == 4 and b"pair-2" in loopback.sessions:
            loopback.leave(b"pair-2", "killed")
    assert [(e.event, e.node, e.slot) for e in recording.events] == [("lost", "pair-2", 4)]
    assert recording.ended is not None
    assert recording.ended.missed == {"pair-2": 6}
    actions = {slot: value for slot, _, node, field, value in recording.values if (node, field) == (2, ACTION)}
    silent = build_world(plan).silent(2).tobytes()
    assert [actions[slot] == silent for slot in range(10)] == [slot >= 4 for slot in range(10)]


def test_a_lost_node_fails_the_run_if_the_plan_says_so() -> None:
    loopback, steps, recording = stepping(plan_for("li2020/random", slots=10, on_node_loss={"action": "fail"}))
    for _ in steps:
        if loopback.run.slot == 4 and b"pair-2" in loopback.sessions:
            loopback.leave(b"pair-2", "its connection broke")
    assert recording.ended is not None
    assert (recording.ended.state, recording.ended.reason) == ("FAILED", "pair-2 is lost: its connection broke")
    plan = plan_for("li2020/random", slots=10, on_node_loss={"action": "fail"})
    replayed = in_process(msgspec.structs.replace(plan, replay=recording.past))
    assert_same_trace(recording, replayed)
    assert replayed.ended is not None
    assert (replayed.ended.state, replayed.ended.slots) == ("FAILED", 4)


def test_a_run_without_agents_fails() -> None:
    loopback, steps, recording = stepping(plan_for("li2020/random", slots=10))
    for _ in steps:
        if loopback.run.slot == 4:
            for peer in list(loopback.sessions):
                loopback.leave(peer, "killed")
    assert recording.ended is None or recording.ended.state == "FAILED"
    assert loopback.run.end == ("FAILED", "no agent is left at slot 5")


def test_a_silent_node_is_sent_a_bye_and_lost() -> None:
    loopback, steps, recording = stepping(plan_for("li2020/random", slots=3))
    next(steps)
    agents = ["pair-0", "pair-1", "pair-2", "pair-3"]
    assert (loopback.run.waiting, loopback.run.awaited) == (Waiting.REPLIES, agents)
    [awaited] = loopback.core.timeouts()
    sends = loopback.core.on_timeout(awaited)
    assert [peer.decode() for peer, message in sends if isinstance(message, Bye)] == agents
    for _ in steps:
        pass
    assert [event.node for event in recording.events if event.event == "lost"] == agents


@pytest.mark.parametrize(("policy", "lost"), [("pause", ["pair-2"]), ("restart", [f"pair-{n}" for n in range(4)])])
def test_a_run_waits_for_lost_nodes_to_come_back(policy: str, lost: list[str]) -> None:
    """A pause for anyone, and restarted agents when none is left."""
    plan = plan_for("li2020/sla", slots=10, on_node_loss={"action": policy})
    loopback = started(plan)
    lose_at(loopback, 4, *lost)
    assert (loopback.run.waiting, loopback.run.slot, loopback.run.awaited) == (Waiting.LOST_NODES, 5, lost)
    loopback.join(b"again", "pair-2")
    for _ in played(loopback):
        pass
    recording = recorded(loopback)
    assert recording.ended is not None
    assert (recording.ended.state, recording.ended.missed["pair-2"]) == ("SUCCEEDED", 1)
    check_replay(plan, recording)


def test_the_wait_for_a_lost_node_ends_the_run_after_the_plans_time() -> None:
    loopback = started(plan_for("li2020/sla", slots=10, on_node_loss={"action": "pause"}))
    lose_at(loopback, 4, "pair-2")
    time_out(loopback)
    assert loopback.run.end == ("FAILED", "pair-2 did not come back: silent for 60 s")


def test_the_wait_for_a_lost_node_can_be_interrupted() -> None:
    plan = plan_for("li2020/sla", slots=10, on_node_loss={"action": "pause"})
    loopback = started(plan)
    lose_at(loopback, 4, "pair-2")
    loopback.send(loopback.run.interrupt())
    for _ in played(loopback):
        pass
    recording = recorded(loopback)
    assert loopback.run.end == ("STOPPED", "")
    check_replay(plan, recording)


def test_a_trainer_lost_while_its_reply_is_awaited_does_not_stop_the_run() -> None:
    plan = home_plan("li2020/maac", "d2d_underlay", slots=30, train_delay_slots=0)
    loopback = started(plan)
    for _ in played(loopback):
        run = loopback.run
        if b"trainer" in loopback.sessions and run.gates.awaited in [gate for _, gate in run.state.learning.pending]:
            loopback.leave(b"trainer", "killed")
    recording = recorded(loopback)
    assert loopback.run.end == ("SUCCEEDED", "")
    assert recording.ended is not None
    assert recording.ended.missed["trainer"] > 0
    check_replay(plan, recording)


def test_a_loss_may_ask_for_a_rollback() -> None:
    loopback = started(plan_for("li2020/sla", slots=10, on_node_loss={"action": "rollback"}))
    lose_at(loopback, 4, "pair-2")
    ended = recorded(loopback).ended
    assert ended is not None
    assert (ended.state, ended.reason, ended.roll_back) == ("FAILED", "pair-2 is lost: killed", True)
