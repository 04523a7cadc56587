"""The static information of wong2021's cells; powers as action records and back."""

from typing import Literal

import msgspec
import numpy as np
import numpy.typing as npt

from protocol.messages.node import Welcome
from protocol.messages.spaces import Records, Space
from schemes.parts.facts import static_facts

Floats = npt.NDArray[np.float64]


class CellsInfo(msgspec.Struct, frozen=True):
    """Powers in units of the noise; `cross_gain`: mean, from each other base station, where that of the own one is
    1."""

    cells: int
    antennas: int
    users: int
    channels: int
    mean_power: float  # of a user in a slot, all channels together
    cross_gain: float
    observation: Literal["full", "gains"]


def cells_info(welcome: Welcome) -> CellsInfo:
    """The static information in a Welcome. ValueError if the world is another one."""
    return static_facts(welcome, CellsInfo, world="mumimo_cells")


def budget_of(measured: Records) -> Floats:
    """P_b(t) / U, eq. (5), (14): a user's power in this slot, [E, 1], as the world measures it."""
    return measured["budget"].astype(np.float64)[:, None]


def to_action(space: Space, powers: Floats, budget: Floats) -> Records:
    """Powers [E, U, F] of users that have `budget` [E, 1] each, as an action [E]."""
    records = space.empty(len(powers))
    shares = powers / np.maximum(budget, np.finfo(float).tiny)[..., None]
    records["share"] = np.clip(shares, 0, 1)
    return records


def to_powers(action: Records, budget: Floats) -> Floats:
    """The powers [E, U, F] that an action [E] puts on the air: shares above 1 in total are scaled down."""
    shares = action["share"].astype(np.float64)
    powers: Floats = shares / np.maximum(shares.sum(axis=-1, keepdims=True), 1.0) * budget[..., None]
    return powers
