"""The channel server without sockets: races and faults as lists of events."""

from collections import deque

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from controller.execution.building import build_world
from controller.execution.in_process import Loopback
from protocol.accounting.trace import TraceField
from protocol.messages.choreography import Choreography, TurnSpec
from protocol.messages.codec import decode_for_node, decode_for_server, encode
from protocol.messages.kinds import Kind
from protocol.messages.node import PROTOCOL_VERSION, Bye, Hello, Note, Refused, Reply, Turn
from protocol.messages.plan import RunPlan
from tests.conformance.homes import home_plan
from tests.impairments import MODELS
from tests.recording import Recording, assert_same_trace, in_process, plan_for, reasons, stepping

ACTION = TraceField.ACTION
WORLDS = {
    "li2020/random": "d2d_underlay",
    "li2020/greedy_central": "d2d_underlay",
    "li2020/sla": "d2d_underlay",
    "li2020/maac": "d2d_underlay",
    "zhang2025/llq": "conflict_graph",
}
SCHEMES = list(WORLDS)


def _clean(scheme: str) -> Recording:
    return in_process(plan_for(scheme, slots=12))


def _junk(kind: str, plan: RunPlan, slot: int) -> bytes:
    """A frame that must change nothing."""
    match kind:
        case "garbage":
            return b"\xc1\xff"
        case "truncated":
            return encode(Reply(slot, 0, b"ab", []))[:-1]
        case "late":
            return encode(Reply(slot - 1, 0, b"", []))
        case "early":
            return encode(Reply(slot + 5, 0, b"", []))
        case "taken place":
            return encode(Hello(PROTOCOL_VERSION, plan.run_id, build_world(plan).agents[0], {}))
        case "other run":
            return encode(Hello(PROTOCOL_VERSION, "another", "pair-0", {}))
        case "foreign version":
            return msgspec.msgpack.encode([1, PROTOCOL_VERSION + 1, "of", "tomorrow"])
        case "no such place":
            return encode(Hello(PROTOCOL_VERSION, plan.run_id, "pair-x", {}))
        case _:
            return encode(Refused("me?"))


KINDS = ["garbage", "truncated", "late", "early", "taken place", "other run", "foreign version", "no such place", "odd"]


@settings(max_examples=25)
@given(
    scheme=st.sampled_from(SCHEMES),
    junk=st.lists(st.tuples(st.integers(0, 150), st.sampled_from(KINDS), st.booleans()), max_size=30),
)
def test_junk_at_any_moment_leaves_the_trace_as_it_is(scheme: str, junk: list[tuple[int, str, bool]]) -> None:
    plan = plan_for(scheme, slots=12)
    loopback, steps, recording = stepping(plan)
    seated = next(iter(build_world(plan).agents)).encode()
    thrown = 0
    for moment, _ in enumerate(steps):
        for when, kind, from_seated in junk:
            if when == moment and loopback.core.stage == "running":
                peer = seated if from_seated else b"stranger"
                loopback.deliver(peer, _junk(kind, plan, loopback.core.slots.slot))
                thrown += 1
    assert_same_trace(_clean(scheme), recording)
    assert recording.ended is not None
    assert recording.ended.state == "SUCCEEDED"
    assert sum(recording.ended.dropped.values()) == thrown


@example(scheme="li2020/maac", model="ideal", kills=[(49, 4, None)])  # a trainer lost while it owes several answers
@example(scheme="li2020/maac", model="ideal", kills=[(49, 4, None), (8, 4, 1)])
@settings(max_examples=40)
@given(
    scheme=st.sampled_from(SCHEMES),
    model=st.sampled_from(["ideal", "all of it"]),
    kills=st.lists(st.tuples(st.integers(8, 120), st.integers(0, 4), st.none() | st.integers(1, 40)), max_size=6),
)
def test_losses_and_rejoins_replay_to_the_same_trace(
    scheme: str, model: str, kills: list[tuple[int, int, int | None]]
) -> None:
    signalling = MODELS.get(model, "ideal")
    plan = home_plan(scheme, WORLDS[scheme], slots=15, record={"values": True}, signalling=signalling)
    loopback, steps, recording = stepping(plan)
    names = [s.decode() for s in loopback.sessions] or [*build_world(plan).agents, "trainer"]
    back: dict[int, str] = {}
    answered = _Answered(loopback)
    for moment, _ in enumerate(steps):
        answered.watch()
        if loopback.core.stage != "running":
            continue
        for when, node, absent_for in kills:
            if when == moment and node < len(names):
                _kill(loopback, names[node])
                if absent_for is not None:
                    back[moment + absent_for] = names[node]
        if moment in back:
            _rejoin(loopback, back.pop(moment), moment)
    assert recording.ended is not None
    if recording.ended.state == "SUCCEEDED":
        assert sum(row.copies for row in recording.air) == answered.received_notes
    replayed = in_process(msgspec.structs.replace(plan, replay=recording.past))
    assert_same_trace(recording, replayed)
    assert replayed.past == recording.past
    assert replayed.ended is not None
    assert (replayed.ended.state, replayed.ended.missed) == (recording.ended.state, recording.ended.missed)
    assert replayed.air == recording.air


class _Answered:
    """Counts the notes in turns that nodes lived to answer: what the air book's copies must be."""

    def __init__(self, loopback: Loopback) -> None:
        self._loopback = loopback
        self._open: dict[tuple[bytes, int, int], int] = {}
        self.received_notes = 0

    def watch(self) -> None:
        """After each step: turns on their way, and those that have left the queue with their node still there."""
        waiting = set()
        for peer, frame in self._loopback.on_their_way:
            message = decode_for_node(frame)
            if isinstance(message, Turn):
                waiting.add((peer, message.slot, message.turn))
                self._open[peer, message.slot, message.turn] = len(message.inbox)
        for key in self._open.keys() - waiting:
            received_notes = self._open.pop(key)
            self.received_notes += received_notes if key[0] in self._loopback.sessions else 0


def _kill(loopback: Loopback, name: str) -> None:
    for peer in [p for p in loopback.sessions if loopback.core.peer_name(p) == name]:
        loopback.leave(peer, "killed")


def _rejoin(loopback: Loopback, name: str, moment: int) -> None:
    if all(loopback.core.peer_name(peer) != name for peer in loopback.sessions):
        loopback.join(f"{name}@{moment}".encode(), name)


def test_a_lost_agent_is_told_where_and_its_fallback_acts() -> None:
    plan = plan_for("li2020/random", slots=10, on_node_loss={"fallback": "silent"}, record={"values": True})
    loopback, steps, recording = stepping(plan)
    for _ in steps:
        if loopback.core.slots.slot == 4 and b"pair-2" in loopback.sessions:
            loopback.leave(b"pair-2", "killed")
    assert [(e.event, e.node, e.slot) for e in recording.events] == [("lost", "pair-2", 4)]
    assert recording.ended is not None
    assert recording.ended.missed == {"pair-2": 6}
    actions = {slot: value for slot, _, node, field, value in recording.values if (node, field) == (2, ACTION)}
    silent = build_world(plan).silent(2).tobytes()
    assert [actions[slot] == silent for slot in range(10)] == [slot >= 4 for slot in range(10)]


def test_when_told_so_a_lost_node_fails_the_run() -> None:
    loopback, steps, recording = stepping(plan_for("li2020/random", slots=10, on_node_loss={"policy": "fail"}))
    for _ in steps:
        if loopback.core.slots.slot == 4 and b"pair-2" in loopback.sessions:
            loopback.leave(b"pair-2", "its connection broke")
    assert recording.ended is not None
    assert (recording.ended.state, recording.ended.reason) == ("FAILED", "pair-2 is lost: its connection broke")
    plan = plan_for("li2020/random", slots=10, on_node_loss={"policy": "fail"})
    replayed = in_process(msgspec.structs.replace(plan, replay=recording.past))
    assert_same_trace(recording, replayed)
    assert replayed.ended is not None
    assert (replayed.ended.state, replayed.ended.slots) == ("FAILED", 4)


def test_a_run_without_agents_fails() -> None:
    loopback, steps, recording = stepping(plan_for("li2020/random", slots=10))
    for _ in steps:
        if loopback.core.slots.slot == 4:
            for peer in list(loopback.sessions):
                loopback.leave(peer, "killed")
    assert recording.ended is None or recording.ended.state == "FAILED"
    assert loopback.core.end == ("FAILED", "no agent is left at slot 5")


def test_the_trainer_is_asked_now_and_then_while_it_has_no_word_of_its_weights() -> None:
    """No acknowledgement ever arrives: every fourth slot the trainer is asked though nothing has come for it."""
    signalling = {"uplink": {"ack": {"loss": 1.0}}, "resend_after_slots": 4}
    plan = home_plan("li2020/maac", "d2d_underlay", slots=40, train_delay_slots=0, signalling=signalling)
    loopback, steps, _ = stepping(plan)
    asked: dict[int, bool] = {}
    for _ in steps:
        for peer, frame in loopback.on_their_way:
            message = decode_for_node(frame)
            if isinstance(message, Turn) and peer == b"trainer":
                asked[message.slot] = bool(message.inbox)
    first_weights = next(slot for slot in range(40) if slot in asked and not asked[slot])
    assert {slot for slot in range(first_weights, 40) if slot % 4 == 0} <= asked.keys()
    assert all(slot % 4 == 0 for slot in range(40) if asked.get(slot) is False)


def test_a_silent_node_is_given_up() -> None:
    loopback, steps, _ = stepping(plan_for("li2020/random", slots=3))
    next(steps)
    assert loopback.core.awaited == ["pair-0", "pair-1", "pair-2", "pair-3"]
    sends = loopback.core.on_timeout("silent for 10 s")
    assert [peer for peer, message in sends if isinstance(message, Bye)] == [b"pair-0", b"pair-1", b"pair-2", b"pair-3"]


def test_an_interrupted_run_ends_after_its_slot_and_keeps_what_it_had() -> None:
    loopback, steps, recording = stepping(plan_for("li2020/sla", slots=50))
    for _ in steps:
        if loopback.core.slots.slot == 20:
            loopback.core.interrupt()
    assert recording.ended is not None
    assert (recording.ended.state, recording.ended.slots) == ("STOPPED", 21)
    assert [window.last for window in recording.windows] == [20]
    replayed = in_process(msgspec.structs.replace(plan_for("li2020/sla", slots=50), replay=recording.past))
    assert_same_trace(recording, replayed)
    assert replayed.ended is not None
    assert replayed.ended.state == "STOPPED"


def test_another_fingerprint_is_a_warning_that_names_the_difference() -> None:
    plan = plan_for("li2020/random", slots=5)
    loopback = Loopback(plan, build_world(plan))
    loopback.deliver(b"x", encode(Hello(PROTOCOL_VERSION, plan.run_id, "pair-0", {"numpy": "0.9"})))
    recording = Recording()
    for telemetry in loopback.core.slots.recorder.drain():
        recording(telemetry)
    assert any("numpy: " in reason and "against 0.9" in reason for reason in reasons(recording.events, "warning"))


@pytest.mark.parametrize("kind", ["taken place", "other run", "foreign version", "no such place"])
def test_who_cannot_be_seated_is_told_why(kind: str) -> None:
    plan = plan_for("li2020/random", slots=5)
    loopback = Loopback(plan, build_world(plan))
    loopback.join(b"pair-0", "pair-0")
    frame = _junk(kind, plan, 0)
    [(peer, refused)] = loopback.core.arrived(b"late", decode_for_server(frame))
    assert peer == b"late"
    assert isinstance(refused, Refused)
    assert {
        "taken place": "is taken by a node that is alive",
        "other run": "this is run test, not another",
        "foreign version": f"version {PROTOCOL_VERSION + 1} is not spoken here, only {PROTOCOL_VERSION}",
        "no such place": "no place named 'pair-x' in this run; places: pair-0",
    }[kind] in refused.reason


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(0, 0, b"\0\0", []), "reply with an action out of turn"),
        (Reply(0, 0, b"", [Note((-1, 2), Kind.CONTROL, b"x")]), "reply with a note to nowhere"),
        (Reply(0, 0, b"", [Note((1, 1), Kind.CONTROL, b"x")]), "reply with a note to nowhere"),
        (Reply(0, 0, b"", [Note((1,), Kind.CONTROL, b"x", -40)]), "reply with a note to nowhere"),
        (Reply(0, 0, b"", [Note((), Kind.CONTROL, b"x")]), "reply with a note to nowhere"),
    ],
)
def test_a_reply_that_does_not_fit_its_turn_is_dropped(reply: Reply, reason: str) -> None:
    """In an exchange turn, of a run with a trainer."""
    loopback, steps, _ = stepping(plan_for("li2020/greedy_central", slots=3))
    next(steps)
    loopback.deliver(b"pair-3", encode(reply))
    assert loopback.core.dropped == {reason: 1}


def test_nothing_is_told_in_the_closing_turn_but_histories() -> None:
    loopback, steps, _ = stepping(plan_for("li2020/random", slots=3))
    for _ in steps:
        if loopback.core.slots.gate is not None and loopback.core.slots.gate.step == "close":
            loopback.deliver(b"pair-3", encode(Reply(3, 0, b"", [Note((-1,), Kind.CONTROL, b"x")])))
            break
    assert loopback.core.dropped == {"reply with a note that nobody will read": 1}


ODD = Choreography(
    (
        TurnSpec(who="agents", step="probe", order="one by one", view="receiver"),
        TurnSpec(who="agents", step="act", order="random", view="probe"),
    ),
    feedback=("outage",),
)


def test_turns_one_by_one_and_in_random_order_ask_each_agent_once() -> None:
    """Probes count as airtime; the order of a slot is drawn anew, and is the same in every placement."""
    plan = msgspec.structs.replace(plan_for("li2020/random", slots=20, episode_slots=7), choreography=ODD)
    loopback, steps, recording = stepping(plan)
    asked: dict[tuple[int, int], list[int]] = {}
    for _ in steps:
        if (gate := loopback.core.slots.gate) is not None:
            asked[gate.slot, gate.turn] = gate.asked
    assert all(asked[slot, turn] == [turn] for slot in range(20) for turn in range(4))
    orders = [tuple(asked[slot, turn][0] for turn in range(4, 8)) for slot in range(20)]
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert len(set(orders)) > 5
    assert recording.ended is not None
    assert recording.ended.probes == 80
    assert_same_trace(recording, in_process(plan))


@pytest.mark.parametrize("asked_at", [0, 10])
def test_a_pause_holds_between_two_slots_and_leaves_no_mark_on_the_trace(asked_at: int) -> None:
    plan = plan_for("li2020/sla", slots=20)
    loopback, steps, recording = stepping(plan)
    core = loopback.core
    if asked_at == 0:
        assert core.pause() == []  # before anybody is seated
    for _ in steps:
        if core.slots.slot == asked_at and not core.rests:
            core.pause()
    assert (core.rests, core.slots.slot) == (True, asked_at + (asked_at > 0))
    loopback.send(core.resume())
    while loopback.step():
        pass
    for telemetry in core.slots.recorder.drain():
        recording(telemetry)
    assert core.end == ("SUCCEEDED", "")
    assert [event.event for event in recording.events] == ["paused", "continued"]
    assert_same_trace(recording, in_process(plan))


def test_a_pause_taken_back_in_time_holds_nothing() -> None:
    loopback, steps, recording = stepping(plan_for("li2020/sla", slots=5))
    next(steps)
    loopback.core.pause()
    assert loopback.core.resume() == []
    assert list(steps)
    assert (loopback.core.end, recording.events) == (("SUCCEEDED", ""), [])


def test_a_paused_run_can_be_interrupted() -> None:
    loopback, steps, _ = stepping(plan_for("li2020/sla", slots=5))
    loopback.core.pause()
    deque(steps, maxlen=0)
    assert loopback.core.rests
    loopback.send(loopback.core.interrupt())
    while loopback.step():
        pass
    assert loopback.core.end == ("STOPPED", "")
