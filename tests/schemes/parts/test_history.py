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
from schemes.parts.history import VALID, HistoryWriter, Joiner, JointTrajectory, Layout, payload_bits, read_chunk

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
    joiner, seen = Joiner([LAYOUT] * agents), list[int]()
    while any(queues):
        queue = data.draw(st.sampled_from([q for q in queues if q]))
        _add(joiner, *queue.pop(0))
        if data.draw(st.booleans()):
            joiner = _restored(joiner, agents)
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


@pytest.mark.parametrize(("timeout", "late", "learnt"), [(0, 2, False), (5, 4, True), (5, 7, False)])
def test_a_late_row_counts_within_the_timeout_and_leaves_nothing_behind(timeout: int, late: int, learnt: bool) -> None:
    joiner, missing = Joiner([LAYOUT] * 2, timeout_slots=timeout), 4
    for slot, bodies in enumerate(zip(_uploads_of(0, 30), _uploads_of(1, 30), strict=True)):
        _add(joiner, 0, bodies[0])
        if slot != missing:
            _add(joiner, 1, bodies[1])
        if slot == missing + 1 + late:
            _add(joiner, 1, _uploads_of(1, 30)[missing])
            assert (missing in [s for joint in joiner.take() for s in _check(joint, 2)]) == learnt
        list(joiner.take())
    assert joiner.rows == 0


def test_while_an_agent_is_lost_the_rows_of_the_others_are_bounded() -> None:
    joiner = Joiner([LAYOUT] * 2, max_slots=10)
    for body in _uploads_of(0, 100):
        _add(joiner, 0, body)
        assert list(joiner.take()) == []
    assert joiner.rows == 10
    writer = HistoryWriter(LAYOUT)
    writer.start(90, _state(1, 90))  # it comes back
    for slot in range(90, 100):
        reward = np.full(REPLICAS, 100 + slot)
        writer.add(action=_action(1, slot), reward=reward, policy_version=0, flags=FLAGS, state=_state(1, slot + 1))
    _add(joiner, 1, writer.take())
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


def test_a_writer_continues_after_a_snapshot() -> None:
    def body(writer: HistoryWriter) -> Any:
        writer.add(action=_action(0, 1), reward=np.ones(2), policy_version=0, flags=FLAGS, state=_state(0, 2))
        return writer.take()

    first, second = HistoryWriter(LAYOUT), HistoryWriter(LAYOUT)
    first.start(1, _state(0, 1))
    second.restore(unpack(pack(first.snapshot())))
    assert body(first) == body(second)
