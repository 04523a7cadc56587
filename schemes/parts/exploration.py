"""How a node explores: choices or continuous actions drawn around what its network gives."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True)
class EpsilonSoftmax:
    """A uniform choice with probability `epsilon`, else one drawn from softmax(outputs / temperature).

    The draw is a Gumbel-max: argmax(outputs + temperature * Gumbel noise); temperature 0 takes the best, which is
    epsilon-greedy.
    """

    epsilon: float
    temperature: float = 0.0

    def choose(self, outputs: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.int64]:
        """Network outputs [E, choices] to choices [E]. The numbers drawn do not depend on the outputs."""
        uniform, gumbel = rng.random(len(outputs)), rng.gumbel(size=outputs.shape)
        other = rng.integers(0, outputs.shape[1], len(outputs))
        best = np.argmax(outputs + self.temperature * gumbel, axis=1)
        return np.where(uniform < self.epsilon, other, best)


@dataclass(frozen=True)
class GaussianNoise:
    """Gaussian noise of standard deviation `sigma` on continuous actions, clipped to [low, high]: fujimoto2018,
    alg. 1."""

    sigma: float
    low: float
    high: float

    def act(self, actions: npt.NDArray[np.float32], rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Network outputs [E, size] to actions [E, size]. The numbers drawn do not depend on the outputs."""
        noise = rng.standard_normal(actions.shape, np.float32)
        return np.clip(actions + np.float32(self.sigma) * noise, np.float32(self.low), np.float32(self.high))
