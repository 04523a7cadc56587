"""What a node of li2020's cell knows of it, and how it reads and writes its records."""

from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from protocol.messages import Welcome
from protocol.spaces import Records, Space

Floats = npt.NDArray[np.float32]


class Cell(msgspec.Struct, frozen=True):
    """The static facts of a D2D cell; thresholds and powers linear, `typical_db` [mean, standard deviation]."""

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
    def choices(self) -> int:
        """RBs times power levels: alpha x beta in sec. III-A."""
        return self.rbs * len(self.d2d_powers_w)


def cell_of(welcome: Welcome) -> Cell:
    """The cell a node is welcomed to; ValueError when the world is another one."""
    try:
        return msgspec.convert(welcome.facts, Cell)
    except msgspec.ValidationError as error:
        raise ValueError(f"{welcome.scheme} needs a D2D cell ({error}); choose the world d2d_underlay") from error


def choose(space: Space, choice: npt.NDArray[np.int64], rbs: int) -> Records:
    """The action of choice [E] = level * rbs + rb; -1 for silence."""
    records = space.empty(len(choice))
    records["rb"] = np.where(choice < 0, -1, choice % rbs)
    if any(field.name == "power" for field in space.fields):
        records["power"] = np.maximum(choice, 0) // rbs
    return records


def inputs_of(cell: Cell) -> int:
    """How many numbers `standardise` gives: 4K, or K + 3."""
    return 4 * cell.rbs if cell.observation == "per_rb" else cell.rbs + 3


def standardise(cell: Cell, observation: Records) -> Floats:
    """s_i of sec. III-A as a network's input, [E, 4K] or [E, K + 3].

    Decibels less their typical mean, by their typical deviation; K(t-1) one-hot (zeros for none), or as (rb + 1) / K.
    """
    parts = [_scaled(observation[name], *moments) for name, moments in cell.typical_db.items()]
    last_rb = observation["last_rb"][:, None]
    if cell.observation == "per_rb":
        parts.append((last_rb == np.arange(cell.rbs)).astype(np.float32))
    else:
        parts.append(((last_rb + 1) / cell.rbs).astype(np.float32))
    return np.concatenate(parts, axis=1)


def _scaled(values_db: Floats, mean_db: float, std_db: float) -> Floats:
    """[E] or [E, K] to [E, 1 or K]."""
    columns = values_db.reshape(len(values_db), -1)
    return (columns - np.float32(mean_db)) * np.float32(1 / std_db)
