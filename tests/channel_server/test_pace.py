"""The paced clock without a clock: slots begin and deadlines pass when the test says so."""

from collections.abc import Callable, Sequence
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channel_server.pace import waited_turns
from channel_server.waiting import Awaited, Waiting
from controller.execution.building import build_world
from controller.execution.in_process import Loopback
from protocol.accounting.trace import TraceField
from protocol.messages.choreography import (
    Choreography,
    TurnSpec,
    agents_act,
    network_sends,
    trainer_decides,
    trainer_learns,
)
from protocol.messages.codec import decode_for_node, decode_for_server
from protocol.messages.node import Reply, Turn
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import Paced, Spread
from tests.conformance.homes import home_plan, homes
from tests.recording import Recording, assert_same_trace, in_process, plan_for

PACED = {"slot_ms": 10}
NO_TIME = Spread(0.0, 0.0, 0.0, 0.0)


class PacedHome(Loopback):
    """Nodes in this process whose replies may be delayed: `delay(peer, reply)` is by how many deadlines and begins of
    slots."""

    def __init__(self, plan: RunPlan, delay: Callable[[str, Reply], int]) -> None:
        super().__init__(plan, build_world(plan))
        self.asked: list[tuple[str, Turn]] = []
        self.sent_notes = 0  # in replies that came in time
        self.received_notes = 0  # in turns
        self._delay = delay
        self._late: list[tuple[int, bytes, bytes]] = []
        self._ticks = 0
        self.seat_all()

    def deliver(self, peer: bytes, frame: bytes) -> None:
        message = decode_for_server(frame)
        if not isinstance(message, Reply):
            return super().deliver(peer, frame)
        at = self._ticks + self._delay(peer.decode(), message)
        at = max([at, *(earlier for earlier, waiting, _ in self._late if waiting == peer)])  # they stay in order
        return self._late.append((at, peer, frame)) if at > self._ticks else self._hand_in(peer, frame)

    def step(self) -> bool:
        if self.in_flight:
            peer, frame = self.in_flight[0]
            message = decode_for_node(frame)
            if isinstance(message, Turn):
                self.asked.append((peer.decode(), message))
                self.received_notes += len(message.inbox)
        return super().step()

    def tick(self) -> None:
        """Time passes to the next begin of a slot or deadline, or, in the closing turn, to the next answer."""
        self._ticks += 1
        if self.run.waiting is Waiting.SLOT_TIME:
            self.send(self.run.begin_slot())
        else:
            self.send(self.run.on_deadline())
        no_deadline = self.run.waiting is not Waiting.SLOT_TIME and self.run.deadline is None
        due = [late for late in self._late if no_deadline or late[0] <= self._ticks]
        self._late = [late for late in self._late if late not in due]
        for _, peer, frame in due:
            self._hand_in(peer, frame)

    def _hand_in(self, peer: bytes, frame: bytes) -> None:
        message = decode_for_server(frame)
        assert isinstance(message, Reply)
        self.sent_notes += 0 if self.core.is_late(peer, message) else len(message.outbox)
        super().deliver(peer, frame)

    def come_to(self, slot: int) -> None:
        """Play until a slot has begun."""
        while self.run.slot < slot or self.run.waiting is Waiting.SLOT_TIME:
            if not self.step():
                self.tick()

    def play(self) -> Recording:
        """The whole run, or what is left of it."""
        recording = Recording()
        while self.run.waiting is not Waiting.NOTHING:
            if not self.step():
                self.tick()
        for telemetry in self.run.telemetry():
            recording(telemetry)
        recording(self.run.ended(wall_s=0.0, wire=[], times=(NO_TIME, NO_TIME, 0)))
        return recording


def _paced(recording: Recording) -> Paced:
    assert recording.ended is not None
    assert recording.ended.state == "SUCCEEDED", recording.ended.reason
    assert recording.ended.paced is not None
    return recording.ended.paced


def _slow(name: str, *, ticks: int) -> Callable[[str, Reply], int]:
    """The node of this name answers so many deadlines and begins later, until the closing turn."""
    return lambda peer, reply: ticks if peer == name and reply.slot < SLOTS else 0


SLOTS = 15


@homes
def test_when_nobody_is_late_it_is_the_run_in_lockstep(scheme: str, world: str) -> None:
    paced, lockstep = (home_plan(scheme, world, slots=SLOTS, clock=clock) for clock in (PACED, {}))
    recording = PacedHome(paced, lambda _peer, _reply: 0).play()
    assert_same_trace(in_process(lockstep), recording)
    assert _paced(recording).missed == {}


@homes
@settings(max_examples=6)
@given(delays=st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 7]), min_size=1, max_size=97))
def test_whatever_is_late_the_run_goes_on_and_the_books_close(scheme: str, world: str, delays: list[int]) -> None:
    numbers = iter(range(10**6))
    plan = home_plan(scheme, world, slots=SLOTS, clock=PACED)
    home = PacedHome(plan, lambda _peer, _reply: delays[next(numbers) % len(delays)])
    recording = home.play()
    paced = _paced(recording)
    assert recording.events == []
    assert recording.ended is not None
    assert recording.ended.dropped == {}
    agents = len(build_world(plan).agents)
    assert home.sent_notes == sum(row.crossed_socket for row in recording.air if row.source <= agents)
    assert home.received_notes == sum(row.copies for row in recording.air)
    assert all(paced.missed[name] <= paced.turns[name] for name in paced.missed)
    assert all(paced.late[name] <= paced.missed[name] for name in paced.late)


def test_a_slow_node_misses_its_turns_alone_and_its_fallback_acts() -> None:
    """It answers every turn in the fourth slot after it."""
    plan = plan_for(
        "li2020/random", slots=SLOTS, clock=PACED, on_node_loss={"fallback": "silent"}, record={"values": True}
    )
    home = PacedHome(plan, _slow("pair-2", ticks=5))
    recording = home.play()
    paced = _paced(recording)
    assert paced.turns == dict.fromkeys(("pair-0", "pair-1", "pair-2", "pair-3"), SLOTS)
    assert paced.missed == {"pair-2": SLOTS}
    assert [turn.slot for name, turn in home.asked if name == "pair-2"] == [0, 5, 10, SLOTS]
    silent = build_world(plan).silent(2).tobytes()
    actions = [value for _, _, node, field, value in recording.values if (node, field) == (2, TraceField.ACTION)]
    assert actions == [silent] * SLOTS
    assert paced.late == {"pair-2": 3}


def test_a_node_that_was_too_late_to_act_sits_out_the_next_slot() -> None:
    """So it cannot take the reward of its fallback's action for its own."""
    late_at = _at(3, "pair-1")
    home = PacedHome(plan_for("li2020/random", slots=SLOTS, clock=PACED), late_at)
    paced = _paced(home.play())
    assert paced.missed == {"pair-1": 2}
    assert [turn.slot for name, turn in home.asked if name == "pair-1"] == [*range(4), *range(5, SLOTS + 1)]


def _at(slot: int, name: str) -> Callable[[str, Reply], int]:
    return lambda peer, reply: int((peer, reply.slot) == (name, slot))


def test_the_inbox_of_a_node_that_is_not_asked_keeps_its_notes() -> None:
    """Exchange, then act, and the answer to the exchange of slot 3 comes in the same slot."""
    plan = plan_for("zhang2025/llq", slots=SLOTS, clock=PACED)
    name = build_world(plan).agents[0]
    home = PacedHome(plan, lambda peer, reply: int((peer, reply.slot, reply.turn) == (name, 3, 0)))
    paced = _paced(home.play())
    assert paced.missed == {name: 2}
    turns = [turn for asked, turn in home.asked if asked == name]
    assert [(turn.slot, turn.turn) for turn in turns if turn.slot in (3, 4)] == [(3, 0), (4, 0), (4, 1)]
    [back] = [turn for turn in turns if (turn.slot, turn.turn) == (4, 0)]
    assert {received.slot for received in back.inbox} == {3}


def test_the_notes_of_a_late_reply_are_delivered_to_nobody() -> None:
    plan = plan_for("zhang2025/llq", slots=SLOTS, clock=PACED)
    name = build_world(plan).agents[0]
    recording = PacedHome(plan, lambda peer, reply: int((peer, reply.slot, reply.turn) == (name, 3, 0))).play()
    sent_in = [row.slot for row in recording.air if row.source == 0 and not row.copied]
    assert sent_in == [slot for slot in range(SLOTS) if slot != 3]


def test_a_trainer_that_learns_is_not_awaited() -> None:
    plan = home_plan("li2020/maac", "d2d_underlay", slots=30, clock=PACED, train_delay_slots=0)
    last = plan.slots - 1
    home = PacedHome(plan, lambda peer, reply: 9 if peer == "trainer" and reply.slot < last else 0)
    recording = home.play()
    assert _paced(recording).missed == {}
    learned = [turn.slot for name, turn in home.asked if name == "trainer" and turn.spec != 255]
    assert all(later - earlier >= 4 for earlier, later in pairwise(learned))
    assert len(learned) > 2


def test_a_node_that_never_replies_is_lost_with_the_notes_it_was_handed() -> None:
    plan = plan_for("zhang2025/llq", slots=SLOTS, clock=PACED)
    name = build_world(plan).agents[0]
    home = PacedHome(plan, lambda peer, reply: 10**6 if peer == name and reply.slot >= 3 else 0)
    home.come_to(8)
    assert home.run.gates.late_replies == [(0, 3, 0)]
    home.send(home.core.on_timeout(Awaited(Waiting.REPLIES, 3, 0, node=0)))
    assert home.run.gates.late_replies == []
    recording = home.play()
    [lost] = [event for event in recording.events if event.event == "lost"]
    assert (lost.node, lost.slot, lost.reason) == (name, 8, "silent for 10 s")
    never_read = [received for asked, turn in home.asked if asked == name and turn.slot >= 3 for received in turn.inbox]
    assert home.received_notes - len(never_read) == sum(row.copies for row in recording.air)


@pytest.mark.parametrize(
    ("turns", "number"),
    [
        ([agents_act()], 1),
        ([network_sends("csi"), trainer_decides(), agents_act(), trainer_learns()], 2),
        ([TurnSpec(who="agents", step="probe", repeat=3), agents_act()], 4),
        ([TurnSpec(who="agents", step="act", order="random")], 7),
        ([TurnSpec(who="agents", step="exchange", order="one by one", repeat=2), agents_act()], 15),
    ],
)
def test_the_slot_is_shared_among_the_turns_that_are_waited_for(turns: Sequence[TurnSpec], number: int) -> None:
    assert waited_turns(Choreography(tuple(turns)), 7) == number


def test_deadlines_are_parts_of_the_slot() -> None:
    plan = plan_for("li2020/greedy_central", slots=3, clock=PACED)
    home = PacedHome(plan, lambda _peer, reply: 10**6 if reply.slot == 1 else 0)
    home.come_to(1)
    deadlines = []
    while (deadline := home.run.deadline) is not None:
        deadlines.append(deadline)
        home.send(home.run.on_deadline())
    assert deadlines == [1 / 3, 2 / 3]  # no pair is asked to act, as none has replied with its gains
