"""Measurements as numbers of mean 0 and deviation 1, by fixed means and deviations that a network's file carries."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from airtoll.environments.runs import Config, RunSeries
from airtoll.environments.sense import Floats, Measured
from protocol.messages.node import Welcome
from schemes.contract import TurnContext


class Scaled:
    """The measurement of the act turn, (x - mean) / std: the arithmetic of `ours/network`, bit for bit."""

    def __init__(self, welcome: Welcome, scale: "Scale") -> None:
        self._measured, self._scale = Measured(welcome), scale
        self._inverse_std: Floats = np.divide(1, scale.std, dtype=np.float32)
        if scale.mean.shape != self._measured.low.shape:
            raise ValueError(f"a scale of {len(scale.mean)} numbers for a view of {len(self._measured.low)}")
        self.low, self.high = self._scaled(self._measured.low), self._scaled(self._measured.high)

    def __call__(self, turn: TurnContext) -> Floats:
        return self._scaled(self._measured(turn))

    def _scaled(self, x: Floats) -> Floats:
        scaled: Floats = np.multiply(x - self._scale.mean, self._inverse_std, dtype=np.float32)
        return scaled


@dataclass(frozen=True)
class Scale:
    """`mean`, `std` [width], float32, of a view. As `sense` of an environment it makes a `Scaled` for each agent."""

    mean: Floats
    std: Floats

    def __call__(self, welcome: Welcome, /) -> Scaled:
        return Scaled(welcome, self)


def measured_scale(config: Config, *, view: str | None = None, slots: int = 500, **settings: Any) -> Scale:
    """Means and deviations over the first slots of a run, all agents together, which act at random.

    A number that never changes keeps the deviation 1. ValueError for agents that measure different numbers.
    """
    runs = RunSeries(config, settings | {"slots": slots}, view=view)
    rng, rows = np.random.default_rng(0), []
    senses = [Measured(welcome) for welcome in runs.welcomes()]
    if len({len(sense.low) for sense in senses}) > 1:
        raise ValueError("the agents measure different numbers: scale each by a sense of your own")
    result = runs.reset(None)
    while not result.over:
        rows += [sense(result.turns[agent]) for agent, sense in enumerate(senses)]
        result = runs.act({agent: runs.actions[agent].sample(rng, runs.replicas) for agent in runs.agents})
    table = np.concatenate(rows).astype(np.float64)
    std = table.std(axis=0)
    return Scale(table.mean(axis=0).astype(np.float32), np.where(std > 1e-6, std, 1).astype(np.float32))
