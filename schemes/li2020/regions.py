"""A pair's observation as the number of a region, for tables: li2020's s_i, made discrete.

    region = (best RB of its own gain, RB of the slot before or silence, level of the interference there)

The paper does not say how its Q-learning makes states discrete. The gain to the BS is left out: it says how well the
pair can reach the BS, which no action depends on. Levels are equal in probability over drops.
"""

from statistics import NormalDist

import numpy as np

from protocol.messages.spaces import Records, Space
from schemes.li2020.cell_info import CellInfo, Floats

_LEVELS = 3


class Regions:
    """Records [E] to numbers of regions, float32 [E, 1]."""

    inputs = 1

    def __init__(self, cell: CellInfo, _observation: Space) -> None:
        self._cell = cell
        mean_db, deviation_db = cell.typical_db["interference_dbm"]
        cuts = [NormalDist(mean_db, deviation_db).inv_cdf(i / _LEVELS) for i in range(1, _LEVELS)]
        self._cuts_db = np.array(cuts, np.float32)

    @property
    def count(self) -> int:
        """K (K + 1) levels."""
        return self._cell.rbs * (self._cell.rbs + 1) * _LEVELS

    def __call__(self, records: Records) -> Floats:
        last_rb = records["last_rb"].astype(np.int64)  # [E], -1 for silence
        interference_dbm = records["interference_dbm"].reshape(len(records), -1)  # [E, K] or [E, 1]
        there = np.maximum(last_rb, 0) if self._cell.observation == "per_rb" else np.zeros_like(last_rb)
        level = np.searchsorted(self._cuts_db, interference_dbm[np.arange(len(records)), there])
        best = records["own_gain_db"].argmax(axis=1)
        region = (best * (self._cell.rbs + 1) + last_rb + 1) * _LEVELS + level
        numbers: Floats = region[:, None].astype(np.float32)
        return numbers
