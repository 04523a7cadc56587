"""Who joins a run, and who is refused."""

import pytest

from channel_server.frames import Frames
from channel_server.waiting import Waiting
from controller.execution.building import build_world
from controller.execution.in_process import Loopback
from protocol.accounting.wire_book import WireBook
from protocol.messages.codec import decode_for_node, encode
from protocol.messages.node import PROTOCOL_VERSION, Hello, Refused, Welcome
from protocol.messages.plan import RunPlan
from protocol.transports.keys import AllowedKey
from tests.channel_server.playing import recorded, time_out
from tests.recording import plan_for, reasons


def _run() -> tuple[RunPlan, Loopback]:
    plan = plan_for("li2020/random", slots=5)
    return plan, Loopback(plan, build_world(plan))


def test_another_fingerprint_is_a_warning_that_names_the_difference() -> None:
    plan, loopback = _run()
    loopback.deliver(b"x", encode(Hello(PROTOCOL_VERSION, plan.run_id, "pair-0", {"numpy": "0.9"})))
    recording = recorded(loopback)
    assert any("numpy: " in reason and "against 0.9" in reason for reason in reasons(recording.events, "warning"))


@pytest.mark.parametrize(
    ("version", "run_id", "name", "facts"),
    [
        (PROTOCOL_VERSION, "test", "pair-0", ["'pair-0'", "taken"]),
        (PROTOCOL_VERSION, "another", "pair-0", ["run test", "another"]),
        (PROTOCOL_VERSION + 1, "test", "pair-0", [f"version {PROTOCOL_VERSION + 1}", f"only {PROTOCOL_VERSION}"]),
        (PROTOCOL_VERSION, "test", "pair-x", ["'pair-x'", "pair-0, pair-1, pair-2, pair-3"]),
    ],
)
def test_a_refused_node_is_sent_the_reason(version: int, run_id: str, name: str, facts: list[str]) -> None:
    _, loopback = _run()
    loopback.join(b"pair-0", "pair-0")
    [(peer, refused)] = loopback.core.arrived(b"late", Hello(version, run_id, name, {}))
    assert peer == b"late"
    assert isinstance(refused, Refused)
    assert all(fact in refused.reason for fact in facts)
    assert loopback.run.state.events.dropped == {"refused Hello": 1}


def test_a_hello_under_another_name_than_that_of_its_key_is_refused_and_counted() -> None:
    plan, loopback = _run()
    bound = {b"bound": AllowedKey(b"key", node="pair-3"), b"any": AllowedKey(b"other")}
    frames = Frames(loopback.core, WireBook(), lambda peer, name: bound[peer].refusal(node=name))
    for peer, name in ((b"bound", "pair-0"), (b"any", "pair-0"), (b"bound", "pair-3")):
        answers = [decode_for_node(frame) for _, frame in frames.arrived(peer, encode(_hello(plan, name)))]
        assert [type(answer) for answer in answers] == [Refused if (peer, name) == (b"bound", "pair-0") else Welcome]
    assert loopback.run.state.events.dropped == {"refused Hello": 1}
    [event] = [event for event in recorded(loopback).events if event.event == "refused"]
    assert (event.node, event.reason.split(":")[0]) == ("pair-0", "its key is bound to the node 'pair-3'")


def test_a_peer_whose_key_is_bound_to_another_node_is_refused_only_so_often() -> None:
    plan, loopback = _run()
    frames = Frames(loopback.core, WireBook(), lambda _peer, _name: "its key is bound to another node")
    answers = [list(frames.arrived(b"peer", encode(_hello(plan, "pair-0")))) for _ in range(150)]
    assert sum(map(len, answers)) == 100
    assert loopback.run.state.events.dropped == {"refused Hello": 100, "Hello after many refusals": 50}


def _hello(plan: RunPlan, name: str) -> Hello:
    return Hello(PROTOCOL_VERSION, plan.run_id, name, {})


def test_the_run_waits_for_the_nodes_that_have_not_joined() -> None:
    _, loopback = _run()
    loopback.join(b"pair-1", "pair-1")
    assert (loopback.run.waiting, loopback.run.awaited) == (Waiting.NODES_TO_JOIN, ["pair-0", "pair-2", "pair-3"])
    loopback.leave(b"pair-1", "killed")
    assert loopback.run.awaited == ["pair-0", "pair-1", "pair-2", "pair-3"]
    assert reasons(recorded(loopback).events, "warning") == ["left before the run began: killed"]


def test_a_run_fails_when_nodes_do_not_join() -> None:
    _, loopback = _run()
    loopback.join(b"pair-1", "pair-1")
    assert time_out(loopback) == ["pair-1"]  # which is sent a Bye
    state, reason = loopback.run.end
    assert (state, "pair-0, pair-2, pair-3" in reason, "60 s" in reason) == ("FAILED", True, True)
