"""The core without sockets: races and faults as lists of events."""

import math

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from channel_server.waiting import RUNNING
from controller.execution.building import build_world
from controller.execution.in_process import Loopback
from protocol.accounting.trace import TraceField
from protocol.messages.codec import decode_for_node, encode
from protocol.messages.node import PROTOCOL_VERSION, Hello, Refused, Reply, Report, Turn
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import Event, Scalars, Weights
from tests.channel_server.playing import started
from tests.conformance.homes import home_plan
from tests.impairments import MODELS
from tests.recording import Recording, assert_same_trace, in_process, plan_for, stepping

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
        case "taken seat":
            return encode(Hello(PROTOCOL_VERSION, plan.run_id, build_world(plan).agents[0], {}))
        case "other run":
            return encode(Hello(PROTOCOL_VERSION, "another", "pair-0", {}))
        case "foreign version":
            return msgspec.msgpack.encode([1, PROTOCOL_VERSION + 1, "of", "tomorrow"])
        case "no such seat":
            return encode(Hello(PROTOCOL_VERSION, plan.run_id, "pair-x", {}))
        case _:
            return encode(Refused("me?"))


def test_a_report_of_numbers_that_no_file_can_hold_is_counted_and_names_its_node() -> None:
    loopback = started(plan_for("li2020/random", slots=5))
    for scalars in ({"loss": math.nan, "updates": 2.0}, {"loss": math.inf}, {"loss": 1.0}):
        loopback.run.reports.take(1, Reply(0, 0, b"", [], Report(scalars)))
    telemetry = loopback.run.telemetry()
    reported = [(one.slot, one.scalars) for one in telemetry if isinstance(one, Scalars)]
    assert reported == [(0, {"updates": 2.0}), (0, {"loss": 1.0})]
    dropped = [(one.node, one.reason) for one in telemetry if isinstance(one, Event) and one.event == "dropped"]
    not_finite = "report with a number that is not finite"
    assert dropped == [("pair-1", not_finite)] * 2
    assert loopback.run.state.events.dropped == {not_finite: 2}


KINDS = ["garbage", "truncated", "late", "early", "taken seat", "other run", "foreign version", "no such seat", "odd"]


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
            if when == moment and loopback.run.waiting in RUNNING:
                peer = seated if from_seated else b"unknown"
                loopback.deliver(peer, _junk(kind, plan, loopback.run.slot))
                thrown += 1
    assert_same_trace(_clean(scheme), recording)
    assert recording.ended is not None
    assert recording.ended.state == "SUCCEEDED"
    assert sum(recording.ended.dropped.values()) == thrown


@example(scheme="li2020/maac", model="ideal", kills=[(49, 4, None)])  # a trainer lost with several replies pending
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
        if loopback.run.waiting not in RUNNING:
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
        for peer, frame in self._loopback.in_flight:
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


def test_a_stranger_is_refused_only_so_often_on_one_connection() -> None:
    """Refusals that are not read wait in the memory of the channel server."""
    loopback, steps, _ = stepping(plan_for("li2020/random", slots=3))
    next(steps)
    hello = Hello(PROTOCOL_VERSION, "test", "nobody", {})
    answers = [len(loopback.core.arrived(b"stranger", hello)) for _ in range(120)]
    assert answers == [1] * 100 + [0] * 20
    assert loopback.run.state.events.dropped == {"refused Hello": 100, "Hello after many refusals": 20}
    loopback.core.gone(b"stranger", "it left")
    assert len(loopback.core.arrived(b"stranger", hello)) == 1


def test_one_report_of_weights_per_node_and_phase_is_taken() -> None:
    loopback = started(plan_for("li2020/random", slots=2))
    for node in (0, 1, 1):
        loopback.run.reports.take(node, Reply(0, 0, b"", [], Report(weights=b"weights")))
    taken = [one.node for one in loopback.run.telemetry() if isinstance(one, Weights)]
    assert taken == [0, 1]
    assert loopback.run.state.events.dropped["report of weights, of which one per phase is taken"] == 1
