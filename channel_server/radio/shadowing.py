"""Log-normal shadowing of links whose ends move, in dB: a first-order Gauss-Markov process over the distance moved.

S' = rho S + sqrt(1 - rho^2) sigma n,  rho = exp(-moved / decorrelation distance)        (TR 36.885, A.1.4)
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from channel_server.radio.decibels import Floats


@dataclass(frozen=True)
class Shadowing:
    """`std_db` sigma; `decorrelation_m`: the distance over which the correlation falls to 1 / e."""

    std_db: float
    decorrelation_m: float

    def draw_db(self, rng: np.random.Generator, shape: tuple[int, ...]) -> Floats:
        """Shadowing of links that have no past, any shape."""
        return self.std_db * rng.standard_normal(shape)

    def step_db(self, shadowing_db: Floats, moved_m: npt.ArrayLike, rng: np.random.Generator) -> Floats:
        """Shadowing after a move. `moved_m` broadcasts against the links: the sum over both ends if both move."""
        correlation = np.exp(-np.asarray(moved_m, float) / self.decorrelation_m)
        fresh_db = self.draw_db(rng, shadowing_db.shape)
        return np.asarray(correlation * shadowing_db + np.sqrt(1 - correlation**2) * fresh_db)
