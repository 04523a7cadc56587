"""Task arrivals, drawn at a position, the slot, so that every scheme of a study meets the same traffic."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from protocol.determinism.rng import CounterRng


@dataclass(frozen=True)
class PoissonArrivals:
    """Independent Poisson arrivals, batched over replicas.

    `load`: mean arrivals per slot, a number for all queues or one for each, [n]. The first replicas of a larger E see
    the arrivals of a smaller one.
    """

    load: float | npt.NDArray[np.float64]
    queues: int
    replicas: int
    seed: int

    def at(self, slot: int) -> npt.NDArray[np.int64]:
        """Tasks that arrive at the beginning of this slot, [E, n]; equal at every call."""
        rng = self._rng.at(slot)
        return rng.poisson(self.load, (self.replicas, self.queues)).astype(np.int64, copy=False)

    @cached_property
    def _rng(self) -> CounterRng:
        return CounterRng(self.seed, "arrivals")
