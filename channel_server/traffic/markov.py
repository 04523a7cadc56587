"""Channels that are good or bad, each a two-state Markov chain, alone or in groups that change together.

The channels of dynamic spectrum access with one user (liang2019 sec. IV-A): in a group all channels follow one chain;
an opposite channel is good where its chain is bad.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from channel_server.radio.decibels import Floats

Flags = npt.NDArray[np.bool_]
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MarkovChannels:
    """`p01`: bad to good, `p11`: good to good, for all chains or one each, [G]; not 0 and 1 both, or nothing changes.

    `group` [N]: the chain 0 .. G - 1 of each channel; `opposite` [N]: whether it is turned over. A channel alone is a
    group of one: `np.arange(N)`.
    """

    p01: float | Floats
    p11: float | Floats
    group: Indices
    opposite: Flags

    @property
    def chains(self) -> int:
        """G"""
        return int(self.group.max()) + 1

    @property
    def stationary(self) -> Floats:
        """How often each chain is good in the long run, [G]: p01 / (p01 + 1 - p11)."""
        p01, p11 = np.broadcast_to(self.p01, self.chains), np.broadcast_to(self.p11, self.chains)
        return np.asarray(p01 / (p01 + 1.0 - p11))

    def start(self, rng: np.random.Generator, replicas: int) -> Flags:
        """Chains drawn from the long run, [E, G]."""
        return rng.random((replicas, self.chains)) < self.stationary

    def step(self, chains: Flags, rng: np.random.Generator) -> Flags:
        """The chains one slot later, [E, G]."""
        return np.asarray(rng.random(chains.shape) < np.where(chains, self.p11, self.p01))

    def good(self, chains: Flags) -> Flags:
        """Whether each channel is good, [E, N]."""
        return np.asarray(chains[:, self.group] ^ self.opposite)
