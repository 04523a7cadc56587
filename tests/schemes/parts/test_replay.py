from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.determinism.snapshots import pack, unpack
from schemes.parts.replay import JointTrajectory, Replay

AGENTS, INPUTS, CHOICES = 2, 3, 300
Told = tuple[int, bool, bool, list[bool]]  # slots, goes on from the one before, terminated, valid
TOLD = st.integers(0, 6).flatmap(
    lambda t: st.tuples(st.just(t), st.booleans(), st.booleans(), st.lists(st.booleans(), min_size=t, max_size=t))
)


def trajectories(told: Sequence[Told], replicas: int) -> list[JointTrajectory]:
    """Every state, reward and action differs from the others."""
    made: list[JointTrajectory] = []
    episode = slot = 0
    numbers = iter(range(1, 10**6))
    tail = np.zeros(0)
    for slots, not_terminal, terminated, valid in told:
        not_terminal = not_terminal and bool(made) and not made[-1].terminated
        episode, slot = (episode, slot) if not_terminal else (episode + 1, 0)
        states = _numbered(numbers, (slots + 1, replicas, AGENTS, INPUTS))
        if not_terminal:
            states[0] = tail
        tail = states[-1]
        actions = np.array(_numbered(numbers, (slots, replicas, AGENTS)), int) % CHOICES
        rewards = _numbered(numbers, (slots, replicas, AGENTS))
        each = np.repeat(np.array(valid, bool).reshape(slots, 1), replicas, axis=1)
        made.append(JointTrajectory(states, actions, rewards, episode, slot, each, terminated and slots > 0))
        slot += slots
    return made


def _numbered(numbers: Any, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    return np.array([next(numbers) for _ in range(int(np.prod(shape)))], np.float32).reshape(shape)


@dataclass
class Listed:
    """A list of slots; one without an action ends what is unbroken."""

    rows: int
    slots: list[tuple[Any, ...]] = field(default_factory=list)

    def add(self, trajectory: JointTrajectory, not_terminal: bool) -> None:
        if not_terminal:
            self.slots.pop()
        for t in range(len(trajectory.actions)):
            ends = trajectory.terminated and t == len(trajectory.actions) - 1
            assert trajectory.valid is not None
            valid = bool(trajectory.valid[t, 0])
            self.slots.append((trajectory.states[t], trajectory.actions[t], trajectory.rewards[t], valid, ends))
        self.slots = [*self.slots, (trajectory.states[-1],)][-self.rows :]
        if trajectory.terminated:
            self.slots.pop()

    def transitions(self) -> set[tuple[Any, ...]]:
        found = set()
        for i, (states, *rest) in enumerate(self.slots):
            if rest and rest[2]:
                actions, rewards, _, ends = rest
                after = np.zeros_like(states) if ends else self.slots[i + 1][0]
                found |= {_key(*each, not ends) for each in zip(states, actions, rewards, after, strict=True)}
        return found


def _key(*values: Any) -> tuple[Any, ...]:
    return tuple(np.asarray(value).ravel().astype(float).tobytes() for value in values)


def drawn(replay: Replay, size: int) -> set[tuple[Any, ...]]:
    got = replay.sample(np.random.default_rng(1), size)
    after = got.next_states * got.not_terminal[:, None, None]
    return {_key(*each) for each in zip(got.states, got.actions, got.rewards, after, got.not_terminal > 0, strict=True)}


@given(st.lists(TOLD, max_size=12), st.integers(1, 2), st.integers(2, 30))
def test_what_is_drawn_is_what_a_plain_list_holds(told: list[Told], replicas: int, capacity: int) -> None:
    replay = Replay(capacity, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES)
    listed = Listed(capacity // replicas + 1)
    for trajectory in trajectories(told, replicas):
        listed.add(
            trajectory, trajectory.first_slot > 0 or (bool(listed.slots) and _zero_slots_before(trajectory, listed))
        )
        replay.add(trajectory)
        held = listed.transitions()
        assert len(replay) == len(held) <= capacity
        if held:
            assert drawn(replay, 40 * len(held) + 100) == held


def _zero_slots_before(trajectory: JointTrajectory, listed: Listed) -> bool:
    """A stretch without slots leaves its successor at the same first slot."""
    return len(listed.slots[-1]) == 1 and bool((listed.slots[-1][0] == trajectory.states[0]).all())


@given(st.lists(TOLD, min_size=2, max_size=10), st.integers(0, 9), st.integers(2, 30))
def test_a_restored_replay_goes_on_as_if_nothing_had_been(told: list[Told], cut: int, capacity: int) -> None:
    replay, other = (Replay(capacity, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES) for _ in range(2))
    made = trajectories(told, 1)
    for trajectory in made[:cut]:
        replay.add(trajectory)
    other.restore(unpack(pack(replay.snapshot())))
    for trajectory in made[cut:]:
        replay.add(trajectory)
        other.add(trajectory)
    assert len(replay) == len(other)
    if len(replay):
        assert drawn(replay, 500) == drawn(other, 500)


@given(st.data())
def test_stretches_of_one_episode_out_of_order_are_the_same_transitions(data: st.DataObject) -> None:
    [whole] = trajectories([(20, False, False, [True] * 20)], 1)
    cuts = [0, *sorted(data.draw(st.sets(st.integers(1, 19)))), 20]
    pieces = [_piece(whole, first, after) for first, after in pairwise(cuts)]
    replay, in_order = (Replay(100, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES) for _ in range(2))
    in_order.add(whole)
    for piece in data.draw(st.permutations(pieces)):
        replay.add(piece)
    assert len(replay) == 20
    assert drawn(replay, 900) == drawn(in_order, 900)


def _piece(whole: JointTrajectory, first: int, after: int) -> JointTrajectory:
    states, actions, rewards = whole.states[first : after + 1], whole.actions[first:after], whole.rewards[first:after]
    return JointTrajectory(states, actions, rewards, whole.episode, whole.first_slot + first)


def test_no_state_is_kept_twice_and_memory_is_bounded() -> None:
    replay = Replay(1000, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES)
    before = replay.nbytes
    for first in range(0, 5000, 10):
        replay.add(_trajectory(10, first_slot=first))
    assert len(replay) == 1000
    row = AGENTS * (4 * INPUTS + 2 + 4) + 2
    assert before < replay.nbytes == 1001 * row


def test_episodes_of_one_slot_take_one_row_each() -> None:
    replay = Replay(100, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES)
    for episode in range(300):
        replay.add(_trajectory(1, episode=episode, terminated=True))
    assert len(replay) == 100


def test_a_large_replay_takes_no_memory_before_it_fills() -> None:
    replay = Replay(10**12, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES)
    replay.add(_trajectory(10))
    assert replay.nbytes < 10_000


def test_draws_are_uniform() -> None:
    replay = Replay(10, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES)
    replay.add(trajectories([(10, False, False, [True] * 10)], 1)[0])
    states = replay.sample(np.random.default_rng(1), 20_000).states[:, 0, 0]
    counts = np.unique(states, return_counts=True)[1]
    assert len(counts) == 10
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.9  # chi-square with 9 degrees of freedom, one in a thousand


def test_what_cannot_be() -> None:
    with pytest.raises(ValueError, match=r"T \+ 1, T and T"):
        JointTrajectory(np.zeros((2, 1, 1, 1), np.float32), np.zeros((2, 1, 1), int), np.zeros((2, 1, 1), np.float32))
    with pytest.raises(ValueError, match="at least 1"):
        Replay(0, agents=1, inputs=1, n_actions=2)
    replay = Replay(10, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES)
    with pytest.raises(ValueError, match="absorb a valid slot first"):
        replay.sample(np.random.default_rng(1), 1)
    replay.add(_trajectory(2))
    with pytest.raises(ValueError, match="2 replicas do not go on from 1"):
        replay.add(_trajectory(2, replicas=2))


def _trajectory(slots: int, *, replicas: int = 1, **where: Any) -> JointTrajectory:
    states = np.zeros((slots + 1, replicas, AGENTS, INPUTS), np.float32)
    across = (slots, replicas, AGENTS)
    return JointTrajectory(states, np.zeros(across, int), np.zeros(across, np.float32), **where)


@given(told=st.lists(TOLD, min_size=1, max_size=6), capacity=st.integers(1, 9))
def test_a_centred_replay_takes_off_each_agents_mean_over_all_it_ever_absorbed(told: list[Told], capacity: int) -> None:
    plain, centred = (
        Replay(capacity, agents=AGENTS, inputs=INPUTS, n_actions=CHOICES, centred=centred) for centred in (False, True)
    )
    made = trajectories(told, replicas=2)
    for trajectory in made:
        plain.add(trajectory)
        centred.add(trajectory)
    if not len(plain):
        return
    valid = np.concatenate([s.rewards[s.valid] for s in made if s.valid is not None])  # [transitions, N]
    drawn, less = (replay.sample(np.random.default_rng(0), 8).rewards for replay in (plain, centred))
    np.testing.assert_allclose(drawn - less, np.broadcast_to(valid.mean(axis=0), drawn.shape), rtol=1e-5)
