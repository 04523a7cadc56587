"""The static information of li2020's cell; observations to network inputs, choices to action records."""

from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt

from protocol.messages.node import Welcome
from protocol.messages.spaces import Records, Space
from schemes.parts.critic_inputs import Gates
from schemes.parts.facts import static_facts

Floats = npt.NDArray[np.float32]


class CellInfo(msgspec.Struct, frozen=True):
    """Static information of a D2D cell; thresholds and powers are linear, `typical_db` (mean, deviation)."""

    pairs: int
    rbs: int
    observation: Literal["per_rb", "compact"]
    d2d_powers_w: tuple[float, ...]  # by level, the full power first
    bs_power_w: float  # on each RB
    noise_w: float
    cue_threshold: float
    d2d_threshold: float
    negative_reward: float
    typical_db: dict[str, tuple[float, float]]

    @property
    def n_actions(self) -> int:
        """RBs times power levels: alpha x beta in li2020 sec. III-A."""
        return self.rbs * len(self.d2d_powers_w)


def cell_info(welcome: Welcome) -> CellInfo:
    """The static information in a Welcome. ValueError if the world is not a D2D cell."""
    return static_facts(welcome, CellInfo, world="d2d_underlay")


class ActionTable:
    """The action records of a cell, built once: `table(choice)` for choices [E] = level * rbs + rb, -1 for silence."""

    def __init__(self, cell: CellInfo, space: Space) -> None:
        choice = np.arange(cell.n_actions)
        self._table = space.empty(cell.n_actions + 1)
        self._table["rb"][:-1] = choice % cell.rbs
        self._table["rb"][-1] = -1  # choice -1: silence
        if any(field.name == "power" for field in space.fields):
            self._table["power"][:-1] = choice // cell.rbs

    def __call__(self, choice: npt.NDArray[np.int64]) -> Records:
        return self._table[choice]


class Standardiser:
    """s_i of li2020 sec. III-A as a network's input: (decibels - typical mean) / typical standard deviation.

    K(t-1) is one-hot (zeros for silence) in the layout `per_rb`, (rb + 1) / K in `compact`.
    """

    def __init__(self, cell: CellInfo, observation: Space) -> None:
        per_rb, k = cell.observation == "per_rb", cell.rbs
        widths = [k, k if per_rb else 1, k if per_rb else 1]
        typical = np.array(list(cell.typical_db.values()), np.float32).repeat(widths, axis=0)  # [decibels, 2]
        self._mean_db, self._inverse_std = typical[:, 0], 1 / typical[:, 1]
        one_hot = np.vstack([np.eye(k), np.zeros((1, k))])  # the last row is rb -1
        level = (np.append(np.arange(k), -1) + 1)[:, None] / k
        self._last_rb = (one_hot if per_rb else level).astype(np.float32)
        self._decibels = sum(widths)
        self.inputs = self._decibels + self._last_rb.shape[1]  # 4K, or K + 3
        rb, vectors = np.arange(cell.n_actions) % k, 4 if per_rb else 1
        # [G, A]: for each choice the inputs that describe its RB; in `compact` the own gain alone
        self.of_choice: Gates = tuple(tuple((k * vector + rb).tolist()) for vector in range(vectors))
        self._as_numbers = _leading_numbers(observation, tuple(cell.typical_db), self._decibels)

    def __call__(self, observation: Records) -> Floats:
        """Observation records [E] to float32 [E, inputs]."""
        x = np.empty((len(observation), self.inputs), np.float32)
        decibels = x[:, : self._decibels]
        np.subtract(observation.view(self._as_numbers)["numbers"], self._mean_db, out=decibels)
        decibels *= self._inverse_std
        x[:, self._decibels :] = self._last_rb[observation["last_rb"]]
        return x


def _leading_numbers(space: Space, names: tuple[str, ...], count: int) -> np.dtype[Any]:
    """A dtype that reads a record's first fields as one row of `count` float32. ValueError if others come first."""
    leading = tuple(field.name for field in space.fields[: len(names)] if field.dtype == "f4")
    if leading != names:
        raise ValueError(f"an observation begins with the float32 fields {names}, not with {leading}")
    return np.dtype(
        {"names": ["numbers"], "formats": [("<f4", (count,))], "offsets": [0], "itemsize": space.dtype.itemsize}
    )
