"""When a pair uploads its history: every so many slots, or when its channel to the BS is good."""

from collections import deque
from typing import Protocol

import numpy as np

from schemes.contract import TurnContext

_REMEMBERED_SLOTS = 100
MAX_INTERVALS = 4  # a pair whose channel is never good uploads after so many times the interval


class UploadRule(Protocol):
    """`due`: whether to upload the `rows` that have not been sent. Called once per slot."""

    def due(self, turn: TurnContext, rows: int) -> bool: ...
    def snapshot(self) -> list[float]: ...
    def restore(self, data: list[float]) -> None: ...


class EverySlots:
    """Due in every slot that `slots` divides."""

    def __init__(self, slots: int) -> None:
        self._slots = slots

    def due(self, turn: TurnContext, rows: int) -> bool:
        return turn.slot % self._slots == 0

    def snapshot(self) -> list[float]:
        return []

    def restore(self, data: list[float]) -> None: ...


class WhenChannelGood:
    """Due with at least `slots` rows when the gain to the BS is at or above the `quantile` of its last 100 values.

    With MAX_INTERVALS times as many rows it is due at any gain. The gain is the mean in dB over RBs and replicas.
    """

    def __init__(self, slots: int, quantile: float) -> None:
        self._slots, self._quantile = slots, quantile
        self._gains_db: deque[float] = deque(maxlen=_REMEMBERED_SLOTS)

    def due(self, turn: TurnContext, rows: int) -> bool:
        gain_db = float(turn.measurement["bs_gain_db"].mean(dtype=np.float64))
        self._gains_db.append(gain_db)
        if rows < self._slots:
            return False
        return rows >= MAX_INTERVALS * self._slots or gain_db >= float(np.quantile(self._gains_db, self._quantile))

    def snapshot(self) -> list[float]:
        return list(self._gains_db)

    def restore(self, data: list[float]) -> None:
        self._gains_db = deque(data, _REMEMBERED_SLOTS)
