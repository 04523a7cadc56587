"""Experience replay of N agents together, in which no state is kept twice.

A ring of slots: row i holds a slot's states, actions and rewards, and row i + 1 its successor states. The last row of
every unbroken stretch has states alone. Replicas are separate streams, one per column.
"""

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from protocol.messages.episodes import TERMINATED, TRUNCATED

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.integer[Any]]
Flags = npt.NDArray[np.bool_]

_FIRST_ROWS = 64
_LAST = 128  # in the column of ends: a stretch's last row, which has states alone


@dataclass(frozen=True)
class Transitions:
    """T contiguous transitions of N agents, as arrays: T + 1 states, T actions, T rewards.

    A stretch that continues the one added before (`first_slot` its first + T, first states equal to the other's last
    ones) is joined to it, and these states are not stored again. Any other stretch starts anew.
    `valid`: False for an agent's row that must not be learnt from, because it is missing, its reward is unknown or the
    action was not the one transmitted. `ended`: TERMINATED or TRUNCATED where an episode ended with a slot, whose
    successor states are then the first of the next episode; 0 elsewhere.
    """

    states: Floats  # [T + 1, E, N, S]
    actions: Integers | Floats  # [T, E, N] choices, or [T, E, N, A] continuous
    rewards: Floats  # [T, E, N]
    first_slot: int = 0
    valid: Flags | None = None  # [T, E, N]; None: all
    ended: npt.NDArray[np.uint8] | None = None  # [T, E]; None: none

    def __post_init__(self) -> None:
        slots = len(self.actions)
        if len(self.states) != slots + 1 or len(self.rewards) != slots:
            raise ValueError(
                f"{len(self.states)} states, {slots} actions, {len(self.rewards)} rewards: expected T + 1, T and T"
            )

    @property
    def validity(self) -> Flags:
        """`valid`, spelt out: [T, E, N]."""
        return np.ones(self.rewards.shape, bool) if self.valid is None else self.valid

    @property
    def usable(self) -> Flags:
        """[T, E]: True where the rows of all agents are valid."""
        return np.asarray(self.validity.all(axis=2))

    def of_agent(self, agent: int) -> "Transitions":
        """The transitions of one agent alone, N = 1."""
        own = slice(agent, agent + 1)
        valid = None if self.valid is None else self.valid[:, :, own]
        states, actions, rewards = self.states[:, :, own], self.actions[:, :, own], self.rewards[:, :, own]
        return replace(self, states=states, actions=actions, rewards=rewards, valid=valid)

    def pooled(self) -> "Transitions":
        """All agents as replicas of one, N = 1."""
        return replace(
            self,
            states=as_replicas(self.states),
            actions=as_replicas(self.actions),
            rewards=as_replicas(self.rewards),
            valid=None if self.valid is None else as_replicas(self.valid),
            ended=None if self.ended is None else np.repeat(self.ended, self.rewards.shape[2], axis=1),
        )

    def last(self, slots: int) -> "Transitions":
        """The last `slots` slots."""
        skip = len(self.actions) - slots
        if skip <= 0:
            return self
        return replace(
            self,
            states=self.states[skip:],
            actions=self.actions[skip:],
            rewards=self.rewards[skip:],
            first_slot=self.first_slot + skip,
            valid=None if self.valid is None else self.valid[skip:],
            ended=None if self.ended is None else self.ended[skip:],
        )


def check_batch(batch: int, capacity: int, replicas: int) -> None:
    """ValueError for a minibatch that the replay never holds: a learner would wait for it, and learn nothing."""
    rows = max(1, capacity // replicas) * replicas
    if batch > rows:
        raise ValueError(
            f"batch {batch} is more than the {rows} slots that a replay_capacity of {capacity} keeps of {replicas} "
            "replicas, so that nothing would be learned: lower batch or raise replay_capacity"
        )


@dataclass(frozen=True)
class Minibatch:
    """B transitions, drawn with replacement.

    Where an episode terminated, `next_states` have no meaning. Where it was truncated, its successor was not observed,
    and the transition's own states stand for it: the value of what would have come is near theirs.
    """

    states: Floats  # [B, N, S]
    actions: npt.NDArray[Any]  # [B, N] int64, or [B, N, A] float32
    rewards: Floats  # [B, N], less each agent's mean where the replay is centred
    next_states: Floats  # [B, N, S]
    not_terminal: Floats  # [B], 0 where the episode terminated, else 1
    valid: Flags  # [B, N]: where False, the agent's part of the transition has no meaning


@dataclass(frozen=True)
class SequenceBatch:
    """B sequences of W slots of burn-in and L learnt ones, then the state that follows.

    A sequence may go on beyond the end of an episode: `begins` tells where the next one starts. Slots before the first
    one that is known stand for themselves: `begins` is set there as well. `valid` is False from where the slots that
    were recorded one after the other end.
    """

    states: Floats  # [W + L + 1, B, N, S]
    begins: Flags  # [W + L + 1, B]: nothing is carried into this slot from the one before
    actions: npt.NDArray[Any]  # [L, B, N] int64, or [L, B, N, A] float32
    rewards: Floats  # [L, B, N], less each agent's mean where the replay is centred
    not_terminal: Floats  # [L, B], 0 where the episode terminated, else 1
    truncated: Flags  # [L, B]: the state that followed was not observed
    valid: Flags  # [L, B, N]


class Replay:
    """A ring of at most `capacity` transitions; new ones overwrite the oldest. Memory grows by doubling as it fills.

    `n_actions`: of choices, each among that many; or `action_size`: of continuous actions, A numbers each.
    `drawn`: a transition can be drawn if it is valid for `all` agents, or for `any` of them.
    `centred`: minibatches hold rewards less each agent's mean over all valid ones ever added. Where episodes never
    terminate, centring does not change the order of actions, and a critic need not first climb to mean / (1 -
    discount): Naik et al., "Reward Centering", RLC 2024.
    """

    def __init__(
        self,
        capacity: int,
        *,
        agents: int,
        inputs: int,
        n_actions: int = 0,
        action_size: int = 0,
        drawn: Literal["all", "any"] = "all",
        centred: bool = False,
    ) -> None:
        if capacity < 1:
            raise ValueError(f"replay capacity {capacity}: must be at least 1")
        if (n_actions > 0) == (action_size > 0):
            raise ValueError(f"n_actions {n_actions}, action_size {action_size}: give one of them")
        self._capacity, self._shape = capacity, (agents, inputs)
        self._n_actions, self._action_size = n_actions, action_size
        self._is_drawn = np.any if drawn == "any" else np.all
        self._centred, self._reward_sum, self._counted = centred, np.zeros(agents), np.zeros(agents, np.int64)
        self._written, self._tail = 0, -1  # rows in use, and the index of the newest
        self._continued_by: int | None = None  # the first slot of a stretch that continues the tail
        self._drawable_cache: npt.NDArray[np.int64] | None = None
        self._begin(replicas=1)

    def __len__(self) -> int:
        """The number of transitions that can be drawn."""
        return len(self._drawable())

    @property
    def nbytes(self) -> int:
        """Memory of the rows, in bytes."""
        return sum(array.nbytes for array in self._columns.values())

    def add(self, transitions: Transitions) -> None:
        """Append a stretch. ValueError if its number of replicas differs from that of the rows held."""
        self._check_replicas(transitions.states.shape[1])
        self._count_rewards(transitions)
        transitions = transitions.last(self._max_rows - 1)
        slots, first = len(transitions.actions), self._next_row(transitions)
        self._grow(first + slots + 1)
        rows = (first + np.arange(slots + 1)) % self._max_rows
        self._write(rows, transitions)
        self._written = max(self._written, min(first + slots + 1, self._max_rows))
        self._tail = int(rows[-1])
        self._continued_by = transitions.first_slot + slots

    def sample(self, rng: np.random.Generator, size: int) -> Minibatch:
        """`size` transitions, uniform with replacement. ValueError if there are none."""
        row, replica = self._draw(rng, size)
        states, columns = self._columns["states"], self._columns
        ended = columns["ended"][row, replica]
        following = np.where(ended & TRUNCATED, row, row + 1) % self._max_rows
        return Minibatch(
            states=states[row, replica],
            actions=columns["actions"][row, replica].astype(np.float32 if self._action_size else np.int64),
            rewards=columns["rewards"][row, replica] - self._mean_reward(),
            next_states=states[following, replica],
            not_terminal=np.where(ended & TERMINATED, np.float32(0), np.float32(1)),
            valid=columns["valid"][row, replica],
        )

    def sample_sequences(self, rng: np.random.Generator, size: int, *, burn_in: int, slots: int) -> SequenceBatch:
        """`size` sequences; their first learnt slots are drawn as `sample` draws. ValueError if there are none."""
        first, replica = self._draw(rng, size)
        rows = (first + np.arange(-burn_in, slots + 1)[:, None]) % self._written  # [W + L + 1, B]
        columns, learnt = self._columns, (rows[burn_in:-1], replica)
        ended = columns["ended"][rows, replica]
        unbroken = np.ones(rows[burn_in:-1].shape, bool)
        unbroken[1:] = np.logical_and.accumulate((ended[burn_in:-2] & _LAST) == 0)
        begins = np.zeros(rows.shape, bool)
        begins[1:] = ended[:-1] != 0
        return SequenceBatch(
            states=columns["states"][rows, replica],
            begins=begins,
            actions=columns["actions"][learnt].astype(np.float32 if self._action_size else np.int64),
            rewards=columns["rewards"][learnt] - self._mean_reward(),
            not_terminal=np.where(ended[burn_in:-1] & TERMINATED, np.float32(0), np.float32(1)),
            truncated=(ended[burn_in:-1] & TRUNCATED) > 0,
            valid=columns["valid"][learnt] & (columns["drawable"][learnt] & unbroken)[..., None],
        )

    def snapshot(self) -> dict[str, Any]:
        """The rows in use and the position of the ring."""
        return {
            "replicas": self._replicas,
            "tail": self._tail,
            "continued_by": self._continued_by,
            "reward_sum": self._reward_sum.copy(),
            "counted": self._counted.copy(),
            "rows": {name: column[: self._written].copy() for name, column in self._columns.items()},
        }

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`, for a replay of the same capacity."""
        self._begin(data["replicas"])
        self._columns = {name: column.copy() for name, column in data["rows"].items()}
        self._written, self._tail = len(self._columns["ended"]), data["tail"]
        self._continued_by = data["continued_by"]
        self._reward_sum, self._counted = data["reward_sum"].copy(), data["counted"].copy()

    def _count_rewards(self, transitions: Transitions) -> None:
        drawn = self._is_drawn(transitions.validity, axis=2)
        valid = transitions.validity[drawn]  # [K, N]
        self._reward_sum += np.where(valid, transitions.rewards[drawn], 0).sum(axis=0, dtype=np.float64)
        self._counted += np.count_nonzero(valid, axis=0)

    def _mean_reward(self) -> Floats:
        """The offset subtracted from each agent's rewards, [N]."""
        mean = self._reward_sum / np.maximum(1, self._counted) if self._centred else np.zeros_like(self._reward_sum)
        return np.asarray(mean, np.float32)

    # -------------------------------------------------------------------------------- the ring

    def _begin(self, replicas: int) -> None:
        self._replicas = replicas
        self._max_rows = max(1, self._capacity // replicas) + 1  # the last one for the successors
        self._columns = self._empty(min(_FIRST_ROWS, self._max_rows))
        self._drawable_cache = None

    def _check_replicas(self, replicas: int) -> None:
        if replicas != self._replicas and self._written:
            raise ValueError(f"{replicas} replicas do not continue {self._replicas}: use a replay for each number")
        if replicas != self._replicas:
            self._begin(replicas)

    def _empty(self, rows: int) -> dict[str, npt.NDArray[Any]]:
        across, (agents, inputs) = (rows, self._replicas), self._shape
        return {
            "states": np.zeros((*across, agents, inputs), np.float32),
            "actions": self._empty_actions((*across, agents)),
            "rewards": np.zeros((*across, agents), np.float32),
            "valid": np.zeros((*across, agents), np.bool_),
            "drawable": np.zeros(across, np.bool_),
            "ended": np.zeros(across, np.uint8),
        }

    def _empty_actions(self, across: tuple[int, ...]) -> npt.NDArray[Any]:
        if self._action_size:
            return np.zeros((*across, self._action_size), np.float32)
        return np.zeros(across, np.min_scalar_type(self._n_actions - 1))

    def _next_row(self, transitions: Transitions) -> int:
        """The tail's row if the stretch continues it, else the row after."""
        is_next = self._continued_by == transitions.first_slot
        # The slot alone does not tell: the next slot may be another agent's, or one of which fewer states are known.
        continues = is_next and np.array_equal(self._columns["states"][self._tail], transitions.states[0])
        return self._tail if continues else (self._tail + 1) % self._max_rows

    def _grow(self, rows: int) -> None:
        """Make room for `rows` rows. Only before the ring first wraps."""
        room = len(self._columns["ended"])
        if min(rows, self._max_rows) <= room:
            return
        larger = self._empty(min(max(rows, 2 * room), self._max_rows))
        for name, column in self._columns.items():
            larger[name][:room] = column
        self._columns = larger

    def _write(self, rows: npt.NDArray[np.int64], transitions: Transitions) -> None:
        columns, used, tail = self._columns, rows[:-1], rows[-1]
        columns["states"][rows] = transitions.states
        columns["actions"][used], columns["rewards"][used] = transitions.actions, transitions.rewards
        columns["valid"][used] = transitions.validity
        columns["drawable"][used] = self._is_drawn(transitions.validity, axis=2)
        columns["drawable"][tail], columns["ended"][tail] = False, _LAST
        columns["ended"][used] = 0 if transitions.ended is None else transitions.ended
        self._drawable_cache = None

    def _draw(self, rng: np.random.Generator, size: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Row and replica of `size` transitions, uniform with replacement. ValueError if there are none."""
        drawable = self._drawable()
        if not len(drawable):
            raise ValueError("the replay holds no valid transition: add one before sampling")
        row, replica = np.divmod(drawable[rng.integers(len(drawable), size=size)], self._replicas)
        return row, replica

    def _drawable(self) -> npt.NDArray[np.int64]:
        """row * replicas + replica of every transition that can be drawn; computed once after each change."""
        if self._drawable_cache is None:
            self._drawable_cache = np.flatnonzero(self._columns["drawable"])
        return self._drawable_cache


def as_replicas(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """All agents as replicas of one: [T, E, N, ...] to [T, E N, 1, ...]."""
    slots, replicas, agents, *rest = array.shape
    return array.reshape(slots, replicas * agents, 1, *rest)
