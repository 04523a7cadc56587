"""Experience replay of N agents together, in which no state is kept twice.

A ring of slots: row i holds a slot's states, actions and rewards, and row i + 1 its successor states. The last row of
every unbroken stretch has states alone. Replicas are separate streams side by side.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.integer[Any]]
Flags = npt.NDArray[np.bool_]

_FIRST_ROWS = 64


@dataclass(frozen=True)
class JointTrajectory:
    """T slots without a gap, within one episode; what follows the last of them comes with it.

    A stretch that goes on from the one absorbed before (same episode, `first_slot` its first + T) is joined to it:
    its first states are those the other one ended with, and are not kept again. Anything else starts anew.
    `valid`: False for a slot that is not to be learnt from: some agent's row, or its state one slot later, was lost.
    `terminated`: after the last slot nothing follows, its successor states are without meaning. An episode that was
    cut (truncated) is one that is not terminated: its last states are a successor like any other.
    """

    states: Floats  # [T + 1, E, N, S]
    actions: Integers  # [T, E, N]
    rewards: Floats  # [T, E, N]
    episode: int = 0
    first_slot: int = 0
    valid: Flags | None = None  # [T, E]; None: all
    terminated: bool = False

    def __post_init__(self) -> None:
        slots = len(self.actions)
        if len(self.states) != slots + 1 or len(self.rewards) != slots:
            raise ValueError(
                f"{len(self.states)} states, {slots} actions, {len(self.rewards)} rewards: expected T + 1, T and T"
            )

    def last(self, slots: int) -> "JointTrajectory":
        """Its last `slots` slots."""
        skip = len(self.actions) - slots
        if skip <= 0:
            return self
        return JointTrajectory(
            self.states[skip:],
            self.actions[skip:],
            self.rewards[skip:],
            self.episode,
            self.first_slot + skip,
            None if self.valid is None else self.valid[skip:],
            self.terminated,
        )


@dataclass(frozen=True)
class Minibatch:
    """B transitions, drawn with replacement."""

    states: Floats  # [B, N, S]
    actions: npt.NDArray[np.int64]  # [B, N]
    rewards: Floats  # [B, N], less each agent's mean where the replay is centred
    next_states: Floats  # [B, N, S]
    not_terminal: Floats  # [B], 0 where the episode terminated, else 1


class Replay:
    """At most `capacity` transitions; the oldest make room. Memory is taken as it fills, by doubling.

    `centred`: rewards are given less each agent's mean over all valid ones ever absorbed. Where episodes never
    terminate, that changes no order of actions, and a critic need not first climb to mean / (1 - discount). Naik et
    al., "Reward centering", RLC 2024.
    """

    def __init__(self, capacity: int, *, agents: int, inputs: int, n_actions: int, centred: bool = False) -> None:
        if capacity < 1:
            raise ValueError(f"a replay of {capacity} transitions holds nothing: give it at least 1")
        self._capacity, self._shape, self._choices = capacity, (agents, inputs), n_actions
        self._centred, self._earned, self._counted = centred, np.zeros(agents), 0
        self._written, self._tail = 0, -1  # how many rows hold something; the last one in use
        self._awaits: tuple[int, int] | None = None  # episode and slot that would go on from the tail
        self._found: npt.NDArray[np.int64] | None = None
        self._begin(replicas=1)

    def __len__(self) -> int:
        """How many transitions can be drawn."""
        return len(self._drawable())

    @property
    def nbytes(self) -> int:
        """Memory taken by the rows."""
        return sum(array.nbytes for array in self._columns.values())

    def add(self, trajectory: JointTrajectory) -> None:
        """Append; ValueError if the number of replicas is not that of what is held."""
        self._fit(replicas=trajectory.states.shape[1])
        self._count(trajectory)
        trajectory = trajectory.last(self._max_rows - 1)
        slots, first = len(trajectory.actions), self._next_row(trajectory)
        self._grow(first + slots + 1)
        rows = (first + np.arange(slots + 1)) % self._max_rows
        self._write(rows, trajectory)
        self._written = max(self._written, min(first + slots + 1, self._max_rows))
        # the successor of what terminated is never looked at: its row is free again
        self._tail = int(rows[-1] - trajectory.terminated) % self._max_rows
        self._awaits = None if trajectory.terminated else (trajectory.episode, trajectory.first_slot + slots)

    def sample(self, rng: np.random.Generator, size: int) -> Minibatch:
        """Uniform over the transitions held; ValueError when there are none."""
        drawable, replicas = self._drawable(), self._replicas
        if not len(drawable):
            raise ValueError("an empty replay has no minibatch: absorb a valid slot first")
        row, replica = np.divmod(drawable[rng.integers(len(drawable), size=size)], replicas)
        states, held = self._columns["states"], self._columns
        return Minibatch(
            states=states[row, replica],
            actions=held["actions"][row, replica].astype(np.int64),
            rewards=held["rewards"][row, replica] - self._mean(),
            next_states=states[(row + 1) % self._max_rows, replica],
            not_terminal=np.where(held["terminated"][row], np.float32(0), np.float32(1)),
        )

    def snapshot(self) -> dict[str, Any]:
        """The rows written, and where the ring stands."""
        return {
            "replicas": self._replicas,
            "tail": self._tail,
            "awaits": None if self._awaits is None else list(self._awaits),
            "earned": self._earned.copy(),
            "counted": self._counted,
            "rows": {name: column[: self._written].copy() for name, column in self._columns.items()},
        }

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`, for a replay of the same capacity."""
        self._begin(data["replicas"])
        self._columns = {name: column.copy() for name, column in data["rows"].items()}
        self._written, self._tail = len(self._columns["terminated"]), data["tail"]
        self._awaits = None if data["awaits"] is None else (data["awaits"][0], data["awaits"][1])
        self._earned, self._counted = data["earned"].copy(), data["counted"]

    def _count(self, trajectory: JointTrajectory) -> None:
        valid = np.ones(trajectory.rewards.shape[:2], bool) if trajectory.valid is None else trajectory.valid
        self._earned += trajectory.rewards[valid].sum(axis=0, dtype=np.float64)
        self._counted += int(np.count_nonzero(valid))

    def _mean(self) -> Floats:
        """What is taken off each agent's rewards, [N]."""
        mean = self._earned / max(1, self._counted) if self._centred else np.zeros_like(self._earned)
        return np.asarray(mean, np.float32)

    # -------------------------------------------------------------------------------- the ring

    def _begin(self, replicas: int) -> None:
        self._replicas = replicas
        self._max_rows = max(1, self._capacity // replicas) + 1  # the last one for the successors
        self._columns = self._empty(min(_FIRST_ROWS, self._max_rows))
        self._found = None

    def _fit(self, replicas: int) -> None:
        if replicas != self._replicas and self._written:
            raise ValueError(f"{replicas} replicas do not go on from {self._replicas}: use a replay for each")
        if replicas != self._replicas:
            self._begin(replicas)

    def _empty(self, rows: int) -> dict[str, npt.NDArray[Any]]:
        across, (agents, inputs) = (rows, self._replicas), self._shape
        return {
            "states": np.zeros((*across, agents, inputs), np.float32),
            "actions": np.zeros((*across, agents), np.min_scalar_type(self._choices - 1)),
            "rewards": np.zeros((*across, agents), np.float32),
            "drawable": np.zeros(across, np.bool_),
            "terminated": np.zeros(rows, np.bool_),
        }

    def _next_row(self, trajectory: JointTrajectory) -> int:
        """The tail if the stretch goes on from it, else the row behind."""
        not_terminal = self._awaits == (trajectory.episode, trajectory.first_slot)
        return self._tail if not_terminal else (self._tail + 1) % self._max_rows

    def _grow(self, rows: int) -> None:
        """Room for `rows`, before the ring has ever closed."""
        room = len(self._columns["terminated"])
        if min(rows, self._max_rows) <= room:
            return
        larger = self._empty(min(max(rows, 2 * room), self._max_rows))
        for name, column in self._columns.items():
            larger[name][:room] = column
        self._columns = larger

    def _write(self, rows: npt.NDArray[np.int64], trajectory: JointTrajectory) -> None:
        columns, used, tail = self._columns, rows[:-1], rows[-1]
        columns["states"][rows] = trajectory.states
        columns["actions"][used], columns["rewards"][used] = trajectory.actions, trajectory.rewards
        columns["drawable"][used] = True if trajectory.valid is None else trajectory.valid
        columns["drawable"][tail] = False
        columns["terminated"][used] = False
        columns["terminated"][used[-1:]] = trajectory.terminated
        self._found = None

    def _drawable(self) -> npt.NDArray[np.int64]:
        """Row * replicas + replica of every transition; looked up once after each change."""
        if self._found is None:
            self._found = np.flatnonzero(self._columns["drawable"])
        return self._found
