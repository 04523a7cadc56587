"""Replay: against a plain list of slots, over restarts, in bounded memory, with centred rewards."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.determinism.snapshots import pack, unpack
from protocol.messages.episodes import TERMINATED, TRUNCATED
from schemes.parts.replay import Replay, Transitions

AGENTS, INPUTS, CHOICES = 2, 3, 300
Stretch = tuple[int, bool, list[bool], list[int]]  # slots, continues the one before, valid, ended
ENDS = st.sampled_from([0, 0, TERMINATED, TRUNCATED])
STRETCH = st.integers(0, 6).flatmap(
    lambda t: st.tuples(
        st.just(t),
        st.booleans(),
        st.lists(st.booleans(), min_size=t, max_size=t),
        st.lists(ENDS, min_size=t, max_size=t),
    )
)


def transitions(stretches: Sequence[Stretch], replicas: int) -> list[Transitions]:
    """Every state, reward and action differs from the others; episodes end in the first replica alone."""
    made: list[Transitions] = []
    slot = 0
    numbers = iter(range(1, 10**6))
    tail = np.zeros(0)
    for slots, wanted, valid, ends in stretches:
        continues = wanted and bool(made)
        slot += not continues
        states = _numbered(numbers, (slots + 1, replicas, AGENTS, INPUTS))
        if continues:
            states[0] = tail
        tail = states[-1]
        actions = np.array(_numbered(numbers, (slots, replicas, AGENTS)), int) % CHOICES
        rewards = _numbered(numbers, (slots, replicas, AGENTS))
        each = np.broadcast_to(np.array(valid, bool).reshape(slots, 1, 1), actions.shape)
        ended = np.zeros((slots, replicas), np.uint8)
        ended[:, 0] = ends
        made.append(Transitions(states, actions, rewards, slot, each, ended))
        slot += slots
    return made


def _numbered(numbers: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    return np.array([next(numbers) for _ in range(int(np.prod(shape)))], np.float32).reshape(shape)


@dataclass
class Listed:
    """A list of slots; one without an action ends a stretch."""

    rows: int
    next_slot: int = -1
    slots: list[tuple[Any, ...]] = field(default_factory=list)

    def add(self, stretch: Transitions) -> None:
        if stretch.first_slot == self.next_slot:
            self.slots.pop()
        self.next_slot = stretch.first_slot + len(stretch.actions)
        assert stretch.valid is not None
        assert stretch.ended is not None
        for t in range(len(stretch.actions)):
            valid = bool(stretch.valid[t].all())
            self.slots.append((stretch.states[t], stretch.actions[t], stretch.rewards[t], stretch.ended[t], valid))
        self.slots = [*self.slots, (stretch.states[-1],)][-self.rows :]

    def transitions(self) -> set[tuple[Any, ...]]:
        found = set()
        for i, (states, *rest) in enumerate(self.slots):
            if rest and rest[3]:
                for state, action, reward, end, after in zip(states, *rest[:3], self.slots[i + 1][0], strict=True):
                    following = {0: after, TERMINATED: np.zeros_like(after), TRUNCATED: state}[int(end)]
                    found.add(_key(state, action, reward, following, end != TERMINATED))
        return found


def _key(*values: Any) -> tuple[Any, ...]:
    return tuple(np.asarray(value).ravel().astype(float).tobytes() for value in values)


def drawn(replay: Replay, size: int) -> set[tuple[Any, ...]]:
    got = replay.sample(np.random.default_rng(1), size)
    after = got.next_states * got.not_terminal[:, None, None]
    return {_key(*each) for each in zip(got.states, got.actions, got.rewards, after, got.not_terminal > 0, strict=True)}


@given(st.lists(STRETCH, max_size=12), st.integers(1, 2), st.integers(2, 30))
def test_a_replay_draws_the_transitions_of_a_plain_list(stretches: list[Stretch], replicas: int, capacity: int) -> None:
    replay = Replay(capacity, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES)
    listed = Listed(capacity // replicas + 1)
    for stretch in transitions(stretches, replicas):
        listed.add(stretch)
        replay.add(stretch)
        held = listed.transitions()
        assert len(replay) == len(held) <= capacity
        if held:
            assert drawn(replay, 40 * len(held) + 100) == held


@given(
    st.lists(STRETCH, min_size=1, max_size=12),
    st.integers(1, 2),
    st.integers(2, 30),
    st.integers(0, 4),
    st.integers(1, 5),
)
def test_a_replay_draws_the_sequences_of_a_plain_list(
    stretches: list[Stretch], replicas: int, capacity: int, burn_in: int, slots: int
) -> None:
    replay = Replay(capacity, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES)
    listed = Listed(capacity // replicas + 1)
    for stretch in transitions(stretches, replicas):
        listed.add(stretch)
        replay.add(stretch)
    if not len(replay):
        return
    place = {row[0][e].tobytes(): (i, e) for i, row in enumerate(listed.slots) for e in range(replicas)}
    batch = replay.sample_sequences(np.random.default_rng(1), 20, burn_in=burn_in, slots=slots)
    for b in range(20):
        first, e = place[batch.states[burn_in, b].tobytes()]
        for k in range(burn_in):  # backwards, to the first slot that is known or the last that began an episode
            before = listed.slots[first - k - 1] if first > k else ()
            begins = len(before) < 2 or before[3][e] != 0
            assert batch.begins[burn_in - k, b] == begins
            if begins:
                break
            assert batch.states[burn_in - k - 1, b].tolist() == before[0][e].tolist()
        going_on = True
        for k in range(slots):
            row = listed.slots[first + k] if first + k < len(listed.slots) else ()
            going_on = going_on and len(row) > 1
            assert batch.valid[k, b].all() == batch.valid[k, b].any() == (going_on and row[4])
            if not going_on:
                continue
            assert batch.states[burn_in + k, b].tolist() == row[0][e].tolist()
            assert batch.states[burn_in + k + 1, b].tolist() == listed.slots[first + k + 1][0][e].tolist()
            assert (batch.actions[k, b].tolist(), batch.rewards[k, b].tolist()) == (
                row[1][e].tolist(),
                row[2][e].tolist(),
            )
            assert (batch.not_terminal[k, b] == 0, batch.truncated[k, b]) == (
                row[3][e] == TERMINATED,
                row[3][e] == TRUNCATED,
            )
            assert batch.begins[burn_in + k + 1, b] == (row[3][e] != 0)


@given(st.lists(STRETCH, min_size=2, max_size=10), st.integers(0, 9), st.integers(2, 30))
def test_a_restored_replay_continues_as_if_uninterrupted(stretches: list[Stretch], cut: int, capacity: int) -> None:
    replay, other = (Replay(capacity, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES) for _ in range(2))
    made = transitions(stretches, 1)
    for stretch in made[:cut]:
        replay.add(stretch)
    other.restore(unpack(pack(replay.snapshot())))
    for stretch in made[cut:]:
        replay.add(stretch)
        other.add(stretch)
    assert len(replay) == len(other)
    if len(replay):
        assert drawn(replay, 500) == drawn(other, 500)


@given(st.data())
def test_stretches_out_of_order_are_the_same_transitions(data: st.DataObject) -> None:
    [whole] = transitions([(20, False, [True] * 20, [0] * 20)], 1)
    cuts = [0, *sorted(data.draw(st.sets(st.integers(1, 19)))), 20]
    pieces = [_piece(whole, first, after) for first, after in pairwise(cuts)]
    replay, in_order = (Replay(100, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES) for _ in range(2))
    in_order.add(whole)
    for piece in data.draw(st.permutations(pieces)):
        replay.add(piece)
    assert len(replay) == 20
    assert drawn(replay, 900) == drawn(in_order, 900)


def _piece(whole: Transitions, first: int, after: int) -> Transitions:
    states, actions, rewards = whole.states[first : after + 1], whole.actions[first:after], whole.rewards[first:after]
    return Transitions(states, actions, rewards, whole.first_slot + first)


def test_no_state_is_stored_twice_and_memory_is_bounded() -> None:
    replay = Replay(1000, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES)
    before = replay.nbytes
    for first in range(0, 5000, 10):
        replay.add(_zeros(10, first_slot=first))
    assert len(replay) == 1000
    row = AGENTS * (4 * INPUTS + 2 + 4 + 1) + 2  # per agent its validity; whether it is drawn, and the end: a byte each
    assert before < replay.nbytes == 1001 * row


@given(st.data())
def test_rows_of_some_agents_are_drawn_with_their_mask_and_centred_on_each_agents_own(data: st.DataObject) -> None:
    [joint] = transitions([(6, False, [True] * 6, [0] * 6)], replicas=2)
    masks = st.lists(st.booleans(), min_size=AGENTS, max_size=AGENTS)
    valid = np.array(data.draw(st.lists(masks, min_size=12, max_size=12))).reshape(6, 2, AGENTS)
    replay = Replay(100, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES, drawn="any", centred=True)
    replay.add(replace(joint, valid=valid))
    assert len(replay) == valid.any(axis=2).sum()
    if not valid.any():
        return
    batch = replay.sample(np.random.default_rng(1), 50)
    for i, agent in np.argwhere(batch.valid).tolist():
        [(t, e)] = np.argwhere((joint.states[:-1, :, agent] == batch.states[i, agent]).all(axis=2)).tolist()
        mean = joint.rewards[..., agent][valid[..., agent]].mean()
        assert batch.rewards[i, agent] == pytest.approx(joint.rewards[t, e, agent] - mean, abs=1e-3)
        assert batch.valid[i].tolist() == valid[t, e].tolist()
        assert batch.next_states[i].tolist() == joint.states[t + 1, e].tolist()


def test_the_next_slot_of_another_agent_does_not_continue_the_stretch() -> None:
    mine, others = transitions([(4, False, [True] * 4, [0] * 4), (4, False, [True] * 4, [0] * 4)], replicas=1)
    replay = Replay(100, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES)
    for stretch in (mine, replace(others, first_slot=mine.first_slot + 4)):
        replay.add(stretch)
    batch = replay.sample(np.random.default_rng(1), 200)
    of = {joint.states[t, 0, 0].tobytes(): joint.states[t + 1, 0, 0] for joint in (mine, others) for t in range(4)}
    assert len(replay) == 8
    for state, after in zip(batch.states[:, 0], batch.next_states[:, 0], strict=True):
        assert after.tolist() == of[state.tobytes()].tolist()


def test_episodes_of_one_slot_take_one_row_each() -> None:
    replay = Replay(100, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES)
    for slot in range(300):
        replay.add(_zeros(1, first_slot=slot, ended=np.full((1, 1), TERMINATED, np.uint8)))
    assert len(replay) == 100
    assert not replay.sample(np.random.default_rng(1), 9).not_terminal.any()


def test_a_large_replay_takes_no_memory_before_it_fills() -> None:
    replay = Replay(10**12, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES)
    replay.add(_zeros(10))
    assert replay.nbytes < 10_000


def test_draws_are_uniform() -> None:
    replay = Replay(10, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES)
    replay.add(transitions([(10, False, [True] * 10, [0] * 10)], 1)[0])
    states = replay.sample(np.random.default_rng(1), 20_000).states[:, 0, 0]
    counts = np.unique(states, return_counts=True)[1]
    assert len(counts) == 10
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.9  # chi-square with 9 degrees of freedom, one in a thousand


def test_impossible_sizes_are_rejected() -> None:
    with pytest.raises(ValueError, match=r"T \+ 1, T and T"):
        Transitions(np.zeros((2, 1, 1, 1), np.float32), np.zeros((2, 1, 1), int), np.zeros((2, 1, 1), np.float32))
    with pytest.raises(ValueError, match="at least 1"):
        Replay(0, agents=1, inputs=1, n_actions=2)
    replay = Replay(10, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES)
    with pytest.raises(ValueError, match="no valid transition"):
        replay.sample(np.random.default_rng(1), 1)
    replay.add(_zeros(2))
    with pytest.raises(ValueError, match="2 replicas do not continue 1"):
        replay.add(_zeros(2, replicas=2))


def _zeros(slots: int, *, replicas: int = 1, **where: Any) -> Transitions:
    states = np.zeros((slots + 1, replicas, AGENTS, INPUTS), np.float32)
    across = (slots, replicas, AGENTS)
    return Transitions(states, np.zeros(across, int), np.zeros(across, np.float32), **where)


@given(stretches=st.lists(STRETCH, min_size=1, max_size=6), capacity=st.integers(1, 9))
def test_a_centred_replay_subtracts_each_agents_mean_over_all_ever_added(
    stretches: list[Stretch], capacity: int
) -> None:
    plain, centred = (
        Replay(capacity, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES, centred=centred) for centred in (False, True)
    )
    made = transitions(stretches, replicas=2)
    for stretch in made:
        plain.add(stretch)
        centred.add(stretch)
    if not len(plain):
        return
    valid = np.concatenate([s.rewards[s.usable] for s in made])  # [transitions, N]
    drawn, less = (replay.sample(np.random.default_rng(0), 8).rewards for replay in (plain, centred))
    np.testing.assert_allclose(drawn - less, np.broadcast_to(valid.mean(axis=0), drawn.shape), rtol=1e-5)


def test_continuous_actions_come_back_and_pooled_agents_are_replicas() -> None:
    rng = np.random.default_rng(1)
    states, actions = (rng.standard_normal((t, 2, AGENTS, w)).astype(np.float32) for t, w in ((5, INPUTS), (4, 2)))
    valid = rng.random((4, 2, AGENTS)) < 0.7
    joint = Transitions(states, actions, rng.standard_normal((4, 2, AGENTS)).astype(np.float32), valid=valid)
    replay = Replay(100, agents=1, inputs=INPUTS, action_size=2)
    replay.add(joint.pooled())
    assert len(replay) == valid.sum()
    expected = {
        (states[t, e, n].tobytes(), actions[t, e, n].tobytes(), states[t + 1, e, n].tobytes())
        for t, e, n in np.argwhere(valid).tolist()
    }
    batch = replay.sample(rng, 500)
    drawn = zip(batch.states[:, 0], batch.actions[:, 0], batch.next_states[:, 0], strict=True)
    assert {(s.tobytes(), a.tobytes(), after.tobytes()) for s, a, after in drawn} == expected


def test_a_replay_is_of_choices_or_of_continuous_actions() -> None:
    with pytest.raises(ValueError, match="give one of them"):
        Replay(10, agents=1, inputs=1)
