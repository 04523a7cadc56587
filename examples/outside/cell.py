"""The setting that all examples share: four pairs in li2020's cell, trained outside and evaluated on equal channels.

The first EVAL_SLOTS slots of the run are for evaluation; training begins after them, in the same cell.
"""

import airtoll  # isort: skip: it sets the number of threads, before numpy is imported

from collections.abc import Callable
from typing import Any

import numpy as np
from pettingzoo.utils.wrappers import BaseParallelWrapper

from airtoll.environments.pettingzoo import Observation
from airtoll.environments.scaling import Scale, measured_scale
from airtoll.environments.sense import MakeSense

VIEW = "observation"
EVAL_SLOTS = 500
EPISODE_SLOTS = 50
CONFIG: dict[str, Any] = {
    "world": {"name": "d2d_underlay", "pairs": 4, "rbs": 4, "observation": "compact", "d2d_intercept_db": 128.1},
    "scheme": "ours/random",
    "slots": 1_000_000,
    "episode_slots": EPISODE_SLOTS,
}
Policy = Callable[[dict[str, Observation]], dict[str, Any]]  # all agents' observations to their choices


def scale() -> Scale:
    """Of the observations in the slots for evaluation, at random actions."""
    return measured_scale(CONFIG, view=VIEW, slots=EVAL_SLOTS)


def training_env(sense: Scale) -> BaseParallelWrapper:
    """An environment whose episodes lie after the slots for evaluation."""
    return AfterEvaluation(airtoll.parallel_env(CONFIG, view=VIEW, sense=sense))


class AfterEvaluation(BaseParallelWrapper):
    """The first reset plays the slots for evaluation in silence, without anybody learning from them."""

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        result = super().reset(seed, options)
        while self.env.turns["pair_0"].slot < EVAL_SLOTS:
            while self.env.agents:
                self.env.step(dict.fromkeys(self.env.agents, 0))
            result = super().reset()
        return result


def evaluate(policy: Policy, sense: MakeSense, slots: int | None = None, **settings: Any) -> float:
    """Mean over the first slots of the sum of all pairs' rewards, [bit/s/Hz]: `reward_total` of a native run.

    `slots`: by default EVAL_SLOTS.
    """
    slots = slots or EVAL_SLOTS
    env = airtoll.parallel_env(CONFIG, view=VIEW, sense=sense, slots=slots, **settings)
    total = 0.0
    while not env.turns or env.turns["pair_0"].slot < slots:
        observations, _ = env.reset()
        while env.agents:
            observations, rewards, *_ = env.step(policy(observations))
            total += float(np.sum(list(rewards.values())))
    env.close()
    return total / slots
