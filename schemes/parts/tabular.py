"""Tabular Q-learning: watkins1992.

    Q(s, a) <- Q(s, a) + rate (r + gamma max_a' Q(s', a') - Q(s, a))        without the maximum where it terminated

A state is the number of a row, as one entry of a network's input. Replicas share the table: in a slot each entry moves
by the mean of their errors.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from protocol.messages.episodes import TERMINATED, TRUNCATED
from schemes.parts.learner_settings import TabularQSettings
from schemes.parts.learner_start import check_fits
from schemes.parts.numpy_nets import Weights
from schemes.parts.replay import Transitions

Floats = npt.NDArray[np.float32]


class Table:
    """Values by state: `Table(weights)(x)` takes numbers of states [E, 1] to [E, actions]. ValueError unless `weights`
    is one array `table` [states, actions]; a number beyond it counts as the last."""

    inputs = 1

    def __init__(self, weights: Weights) -> None:
        if set(weights) != {"table"} or weights["table"].ndim != 2:
            raise ValueError(f"expected one array 'table' [states, actions], not {sorted(weights)}")
        self.weights = weights

    @property
    def outputs(self) -> int:
        return len(self.weights["table"].T)

    def first_state(self, replicas: int) -> Floats:
        """[E, 0]: it carries no state."""
        return np.zeros((replicas, 0), np.float32)

    def step(self, x: Floats, state: Floats) -> tuple[Floats, Floats]:
        """The values, and the state as it was."""
        return self(x), state

    def __call__(self, x: Floats) -> Floats:
        table = self.weights["table"]
        values: Floats = table[np.minimum(x[:, 0].astype(np.int64), len(table) - 1)]
        return values


class TabularQ:
    """A table [states, actions] that begins at zero, and learns from each row once, in the order of slots."""

    def __init__(self, settings: TabularQSettings, *, states: int, n_actions: int) -> None:
        self._settings = settings
        self._table = np.zeros((states, n_actions))
        self._stretches: list[Transitions] = []
        self._rewards, self._rows = 0.0, 0  # sum and number, of all valid rows

    def add(self, transitions: Transitions) -> None:
        """Collect the agent's transitions, N = 1."""
        self._stretches.append(transitions)

    def learn(self, updates: int) -> dict[str, float]:
        """One pass over all rows collected, whatever the number of updates. Nothing and {} without rows, or for 0."""
        usable = [stretch for stretch in self._stretches if stretch.validity.any()]
        if updates < 1 or not usable:
            return {}
        self._stretches = []
        errors = np.concatenate([self._pass(stretch) for stretch in usable])
        return {"error": float(np.abs(errors).mean()), "mean_q": float(self._table.mean())}

    def weights(self, _node: int = 0) -> dict[str, Floats]:
        """The table, for `Table`."""
        return {"table": self._table.astype(np.float32)}

    def start(self, weights: Sequence[Weights]) -> None:
        """Begin with the agent's table. ValueError for another shape."""
        check_fits(weights[0], self.weights())
        self._table = weights[0]["table"].astype(np.float64)

    def save(self) -> dict[str, Any]:
        """All state."""
        waiting = [vars(stretch) for stretch in self._stretches]
        return {"table": self._table.copy(), "waiting": waiting, "rewards": self._rewards, "rows_taken": self._rows}

    def load(self, data: dict[str, Any]) -> None:
        """The inverse of `save`."""
        self._table, self._rewards, self._rows = data["table"].copy(), data["rewards"], data["rows_taken"]
        self._stretches = [Transitions(**stretch) for stretch in data["waiting"]]

    def _pass(self, stretch: Transitions) -> npt.NDArray[np.float64]:
        """Learn from a stretch slot by slot; the errors of its usable rows."""
        states, actions = stretch.states[:, :, 0, 0].astype(np.int64), stretch.actions[:, :, 0]
        ended = np.zeros(actions.shape, np.uint8) if stretch.ended is None else stretch.ended
        following = np.where(ended & TRUNCATED, states[:-1], states[1:])  # a truncated row's successor is not known
        errors = []
        for t, usable in enumerate(stretch.validity[:, :, 0]):
            reward, alive = stretch.rewards[t, usable, 0], (ended[t, usable] & TERMINATED) == 0
            at = (states[t, usable], actions[t, usable])
            ahead = self._settings.discount * alive * self._table[following[t, usable]].max(axis=1)
            error = self._centred(reward) + ahead - self._table[at]
            total, count = np.zeros_like(self._table), np.zeros_like(self._table)
            np.add.at(total, at, error)
            np.add.at(count, at, 1)
            self._table += self._settings.rate * total / np.maximum(count, 1)
            errors.append(error)
        return np.concatenate(errors)

    def _centred(self, rewards: Floats) -> npt.NDArray[np.float64]:
        """Rewards, if the settings ask for it less the mean of all until now."""
        self._rewards += float(rewards.sum(dtype=np.float64))
        self._rows += len(rewards)
        mean = self._rewards / max(1, self._rows) if self._settings.centre_rewards else 0.0
        return rewards.astype(np.float64) - mean
