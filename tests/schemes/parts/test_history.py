"""Histories: the trainer reads and joins what nodes write, each slot once, no state sent twice."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.determinism.snapshots import pack, unpack
from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote
from protocol.messages.spaces import Field, Records, Space
from schemes.parts.history import VALID, HistoryWriter, JointTrajectory, Layout, payload_bits, read_chunk
from schemes.parts.joiner import Joiner

STATES = Space((Field("seen", "f4", (2,)),))
ACTIONS = Space((Field("rb", "i2", low=-1, high=9),))
REPLICAS = 2
LAYOUT = Layout(STATES, ACTIONS, REPLICAS)


def _state(agent: int, slot: int) -> Records:
    records = STATES.empty(REPLICAS)
    records["seen"] = [[agent, slot], [agent, -slot]]
    return records


def _action(agent: int, slot: int) -> Records:
    records = ACTIONS.empty(REPLICAS)
    records["rb"] = (agent + slot) % 10
    return records


FLAGS = np.full(REPLICAS, VALID, np.uint8)


def _bodies(agent: int, first: int, slots: int, cuts: set[int]) -> list[bytes]:
    """The notes of an agent that acts in slots first .. first + slots - 1 and uploads after the slots in `cuts`."""
    writer, bodies = HistoryWriter(LAYOUT), []
    writer.start(first, _state(agent, first))
    for slot in range(first, first + slots):
        reward = np.full(REPLICAS, 100 * agent + slot)
        state = _state(agent, slot + 1)
        writer.add(action=_action(agent, slot), reward=reward, policy_version=slot, flags=FLAGS, state=state)
        if slot in cuts:
            bodies.append(writer.take())
    return [*bodies, writer.take()] if writer.rows else bodies


def _add(joiner: Joiner, agent: int, body: bytes) -> None:
    joiner.add(agent, joiner.read(_history(agent, body)))


def _history(agent: int, body: bytes, slot: int = 1000) -> ReceivedNote:
    return ReceivedNote(agent, Kind.HISTORY, slot, 0, body)


def _check(joint: JointTrajectory, agents: int) -> range:
    assert joint.agents == tuple(range(agents))
    assert joint.present.all()
    slots = range(joint.first_slot, joint.first_slot + len(joint.rewards))
    with_states = [joint.first_slot, *(s + 1 for s in slots)]
    for agent in range(agents):
        assert joint.states[agent]["seen"][:, 0].tolist() == [[agent, slot] for slot in with_states]
        assert joint.actions[agent]["rb"][:, 0].tolist() == [(agent + slot) % 10 for slot in slots]
        assert joint.rewards[:, 0, agent].tolist() == [100 * agent + slot for slot in slots]
    assert (joint.flags == VALID).all()
    return slots


def test_a_note_contains_each_state_once() -> None:
    first, second = _bodies(0, 5, 7, {8})
    row = LAYOUT.row.itemsize
    state = STATES.dtype.itemsize * REPLICAS
    assert (len(first), len(second)) == (7 + state + 4 * row, 7 + 3 * row)
    chunk = read_chunk(second, LAYOUT)
    assert (chunk.first_slot, chunk.first_state, len(chunk.rows)) == (9, None, 3)
    assert chunk.rows["policy_version"].tolist() == [9, 10, 11]


@given(st.data())
def test_with_any_upload_times_all_common_slots_are_joined_once(data: st.DataObject) -> None:
    agents = data.draw(st.integers(1, 3))
    spans = [(data.draw(st.integers(0, 5)), data.draw(st.integers(1, 12))) for _ in range(agents)]
    queues = [
        [(agent, body) for body in _bodies(agent, first, n, data.draw(st.sets(st.integers(0, 20))))]
        for agent, (first, n) in enumerate(spans)
    ]
    joiner, seen = Joiner([LAYOUT] * agents, timeout_slots=30), list[int]()
    while any(queues):
        queue = data.draw(st.sampled_from([q for q in queues if q]))
        _add(joiner, *queue.pop(0))
        if data.draw(st.booleans()):
            joiner = _restored(joiner, agents, timeout_slots=30)
        for joint in joiner.take():
            seen += _check(joint, agents)
    common = range(max(f for f, _ in spans), min(f + n for f, n in spans))
    assert seen == list(common)


def _restored(joiner: Joiner, agents: int, timeout_slots: int = 0) -> Joiner:
    again = Joiner([LAYOUT] * agents, timeout_slots=timeout_slots)
    again.restore(unpack(pack(joiner.snapshot())))
    return again


@pytest.mark.parametrize("starts", [True, False])
def test_a_history_of_many_is_charged_like_that_of_one(starts: bool) -> None:
    def body(replicas: int) -> bytes:
        layout = Layout(STATES, ACTIONS, replicas)
        writer, flags = HistoryWriter(layout), np.full(replicas, VALID, np.uint8)
        if starts:
            writer.start(0, STATES.empty(replicas))
        for _ in range(3):
            writer.add(
                action=ACTIONS.empty(replicas),
                reward=np.zeros(replicas),
                policy_version=1,
                flags=flags,
                state=STATES.empty(replicas),
            )
        return writer.take()

    assert payload_bits(body(1), 1) is None
    assert payload_bits(body(8), 8) == 8 * len(body(1))


def test_a_gap_is_not_joined_over() -> None:
    joiner = Joiner([LAYOUT])
    for first in (0, 10):
        for body in _bodies(0, first, 3, set()):
            _add(joiner, 0, body)
    histories = list(joiner.take())
    assert [(joint.first_slot, len(joint.states[0])) for joint in histories] == [(0, 4), (10, 4)]


@given(st.data())
def test_in_any_order_all_common_slots_are_joined_once_within_the_timeout(data: st.DataObject) -> None:
    agents = data.draw(st.integers(1, 3))
    notes = [
        (agent, body)
        for agent in range(agents)
        for body in _bodies(agent, 3, 12, data.draw(st.sets(st.integers(3, 14))))
    ]
    joiner, seen = Joiner([LAYOUT] * agents, timeout_slots=12), list[int]()
    for note in data.draw(st.permutations(notes)):
        _add(joiner, *note)
        if data.draw(st.booleans()):
            joiner = _restored(joiner, agents, timeout_slots=12)
        taken = [slot for joint in joiner.take() for slot in _check(joint, agents)]
        assert taken == sorted(taken)
        seen += taken
    assert (sorted(seen), joiner.rows) == (list(range(3, 15)), 0)


def _uploads_of(agent: int, slots: int) -> list[bytes]:
    """One note per slot."""
    return _bodies(agent, 0, slots, set(range(slots)))


@given(st.data())
def test_whatever_is_lost_every_row_that_came_with_its_state_is_handed_out_once(data: st.DataObject) -> None:
    agents, slots, timeout = data.draw(st.integers(1, 3)), 12, data.draw(st.integers(0, 12))
    joiner = Joiner([LAYOUT] * agents, timeout_slots=timeout)
    notes = [
        (agent, body)
        for agent in range(agents)
        for body in _bodies(agent, 0, slots, data.draw(st.sets(st.integers(0, slots))))
    ]
    arrived = [note for note in notes if data.draw(st.booleans())]
    expected = {(a, s) for a in range(agents) for s in _usable_slots([body for agent, body in arrived if agent == a])}
    handed_out = list[tuple[int, int]]()
    for note in sorted(arrived, key=lambda note: read_chunk(note[1], LAYOUT).first_slot):
        _add(joiner, *note)
    for agent in range(agents):
        _add(joiner, agent, _bodies(agent, 100, 1, set())[0])  # long after
    for joint in joiner.take():
        handed_out += _present_rows(joint)
    assert sorted(row for row in handed_out if row[1] < slots) == sorted(expected)
    assert joiner.rows == 0


def _usable_slots(bodies: list[bytes]) -> set[int]:
    """The slots of an agent's rows of which the state before has come too."""
    chunks = [read_chunk(body, LAYOUT) for body in bodies]
    rows = {chunk.first_slot + i for chunk in chunks for i in range(len(chunk.rows))}
    return {slot for slot in rows if slot - 1 in rows or slot == 0}


def _present_rows(joint: JointTrajectory) -> list[tuple[int, int]]:
    """Agent and slot of each row; checks that a missing one is 0, and that a present one is what its agent did."""
    found = []
    for t, agent in np.ndindex(joint.present.shape):
        slot = joint.first_slot + t
        row = joint.states[agent]["seen"][t, 0].tolist(), joint.rewards[t, 0, agent]
        if joint.present[t, agent]:
            assert (*row, joint.valid[t, 0, agent]) == ([agent, slot], 100 * agent + slot, True)
            assert joint.states[agent]["seen"][t + 1, 0].tolist() == [agent, slot + 1]
            found.append((agent, slot))
        else:
            assert (joint.rewards[t, 0, agent], joint.valid[t, 0, agent]) == (0, False)
    return found


@pytest.mark.parametrize(("timeout", "late", "counted"), [(0, 2, (1, 1)), (5, 4, (0, 0)), (5, 7, (1, 1))])
def test_a_late_row_counts_within_the_timeout_and_leaves_nothing_behind(
    timeout: int, late: int, counted: tuple[int, int]
) -> None:
    """After it, the slot has been handed out without the row, which is dropped."""
    joiner, missing = Joiner([LAYOUT] * 2, timeout_slots=timeout), 4
    uploads, handed_out = [_uploads_of(agent, 30) for agent in range(2)], list[tuple[int, int]]()
    # In the slot after the missing row the agent starts a history anew, so that this row's state is known.
    uploads[1][missing + 1 :] = [body for first in range(missing + 1, 30) for body in _bodies(1, first, 1, set())]
    for slot in range(30):
        for agent in range(2):
            if (agent, slot) != (1, missing):
                _add(joiner, agent, uploads[agent][slot])
        handed_out += [row for joint in joiner.take() for row in _present_rows(joint)]
        if slot == missing + late:
            _add(joiner, 1, uploads[1][missing])
            handed_out += [row for joint in joiner.take() for row in _present_rows(joint)]
    lost = {(1, missing)} if counted[0] else set()
    assert sorted(handed_out) == sorted({(a, s) for a in range(2) for s in range(30)} - lost)
    assert (joiner.rows, (joiner.masked, joiner.dropped)) == (0, counted)


def test_a_lost_agent_does_not_stop_the_others() -> None:
    joiner, handed_out = Joiner([LAYOUT] * 2, timeout_slots=10), list[tuple[int, int]]()
    for body in _uploads_of(0, 100):
        _add(joiner, 0, body)
        handed_out += [row for joint in joiner.take() for row in _present_rows(joint)]
        joiner = _restored(joiner, 2, timeout_slots=10)
    assert handed_out == [(0, slot) for slot in range(90)]
    assert (joiner.rows, joiner.masked, joiner.dropped) == (10, 90, 0)
    _add(joiner, 1, _bodies(1, 90, 10, set())[0])  # it comes back
    assert [slot for joint in joiner.take() for slot in _check(joint, 2)] == list(range(90, 100))


@pytest.mark.parametrize("cut", [1, -1])
def test_a_body_of_the_wrong_length_is_rejected(cut: int) -> None:
    [body] = _bodies(0, 0, 3, set())
    wrong = body[:-1] if cut < 0 else body + b"\0"
    with pytest.raises(ValueError, match="a history of 3 rows does not fit"):
        read_chunk(wrong, LAYOUT)


def _changed(field: str, value: Any) -> bytes:
    """A history of slots 0 to 2, in which one value of the last row is another."""
    [body] = _bodies(0, 0, 3, set())
    raw = bytearray(body)
    rows = np.frombuffer(raw, LAYOUT.row, 3, len(raw) - 3 * LAYOUT.row.itemsize)
    part = rows[field] if field not in ("seen", "rb") else rows["state" if field == "seen" else "action"][field]
    part[-1] = value
    return bytes(raw)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"abc", "a history has a head of 7 bytes, not 3"),
        (b"\0\x28\x6b\xee" + bytes(7), "does not fit into 11 bytes|names slot 4000000000"),
        (b"\0\x28\x6b\xee" + bytes(3), "it was sent in slot 3 and names slot 4000000000"),
        (_bodies(0, 1, 3, set())[0], "it was sent in slot 3 and names slot 3"),
        (bytes(7), "it has no rows"),
        (_changed("seen", np.nan), "a state lies outside its space"),
        (_changed("rb", 10), "an action lies outside its space"),
        (_changed("reward", np.inf), "a reward is not within"),
        (_changed("reward", np.nan), "a reward is not within"),
        (_changed("reward", 1e30), "a reward is not within"),
        (_changed("flags", 64), "a row has an unknown flag"),
    ],
)
def test_a_history_that_no_agent_can_have_lived_through_is_rejected(body: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        Joiner([LAYOUT]).read(_history(0, body, 3))


def test_a_slot_that_waits_for_other_agents_is_not_taken_twice() -> None:
    joiner = Joiner([LAYOUT] * 2)
    first, second = _bodies(0, 0, 6, {2})
    _add(joiner, 0, first)
    with pytest.raises(ValueError, match="slot 0 has come before"):
        joiner.read(_history(0, first))
    _add(joiner, 0, second)


def test_a_slot_that_was_handed_out_is_not_taken_again() -> None:
    joiner = Joiner([LAYOUT] * 2, timeout_slots=10)
    for agent in range(2):
        _add(joiner, agent, _bodies(agent, 0, 6, set())[0])
    assert [slot for joint in joiner.take() for slot in _check(joint, 2)] == list(range(6))
    with pytest.raises(ValueError, match="slot 0 has come before"):
        joiner.read(_history(0, _bodies(0, 0, 1, set())[0]))


def test_a_writer_continues_after_a_snapshot() -> None:
    def body(writer: HistoryWriter) -> Any:
        writer.add(action=_action(0, 1), reward=np.ones(2), policy_version=0, flags=FLAGS, state=_state(0, 2))
        return writer.take()

    first, second = HistoryWriter(LAYOUT), HistoryWriter(LAYOUT)
    first.start(1, _state(0, 1))
    second.restore(unpack(pack(first.snapshot())))
    assert body(first) == body(second)


def test_states_in_float16_take_half_the_bytes_and_come_back_rounded() -> None:
    half = Layout(STATES, ACTIONS, REPLICAS, precision="float16")
    bodies = []
    for layout in (LAYOUT, half):
        writer = HistoryWriter(layout)
        state = STATES.empty(REPLICAS)
        state["seen"] = [[-93.7512, 1e9], [3.0, -1e9]]
        writer.start(4, state)
        writer.add(action=_action(0, 4), reward=np.full(REPLICAS, 0.1), policy_version=7, flags=FLAGS, state=state)
        bodies.append(writer.take())
    assert len(bodies[0]) - len(bodies[1]) == 2 * REPLICAS * 2 * 2  # states x replicas x numbers x bytes
    chunk = read_chunk(bodies[1], half)
    assert chunk.first_state is not None
    assert chunk.first_state.dtype == chunk.rows["state"].dtype == STATES.dtype
    for states in (chunk.first_state["seen"], chunk.rows["state"]["seen"][0]):
        assert states[0, 0] == pytest.approx(-93.7512, abs=1 / 32)
        assert states[:, 1].tolist() == [65504.0, -65504.0]
    assert chunk.rows["reward"][0].tolist() == [np.float32(0.1)] * REPLICAS
    assert half.fault(chunk) == ""
    with pytest.raises(ValueError, match="does not fit"):
        read_chunk(bodies[0], half)
