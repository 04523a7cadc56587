"""stable-baselines3's PPO, or sb3-contrib's TRPO, through SuperSuit: one network for all pairs.

    python -m examples.outside.sb3 ppo 40000 policy.safetensors

Trains so many slots, evaluates, and writes the policy for `examples.outside.networked`.
"""

from examples.outside import cell  # isort: skip: airtoll first

import sys
import time
from typing import Any

import numpy as np
import supersuit
import torch
from sb3_contrib import TRPO
from stable_baselines3 import PPO
from stable_baselines3.common.utils import set_random_seed

from airtoll.environments.network_file import save
from airtoll.environments.pettingzoo import Observation
from airtoll.environments.scaling import Scale

SETTINGS: dict[str, Any] = {
    "n_steps": 500,
    "batch_size": 500,
    "gamma": 0.0,  # fading has no memory here: what a pair does now changes nothing later
    "learning_rate": 1e-3,
    "device": "cpu",
    "policy_kwargs": {"net_arch": [64, 64]},
}
ALGORITHMS = {"ppo": (PPO, {"ent_coef": 0.01, "n_epochs": 5}), "trpo": (TRPO, {"learning_rate": 3e-3})}


def train(algorithm: str, slots: int, scale: Scale) -> Any:
    """The trained model."""
    torch.set_num_threads(1)
    set_random_seed(1)  # a setting `seed` would seed the environments too, which SuperSuit's cannot be
    vec_env = supersuit.pettingzoo_env_to_vec_env_v1(cell.training_env(scale))
    vec_env = supersuit.concat_vec_envs_v1(vec_env, 1, base_class="stable_baselines3")
    make, own = ALGORITHMS[algorithm]
    model = make("MlpPolicy", vec_env, **SETTINGS | own)
    return model.learn(slots * vec_env.num_envs)


def main(algorithm: str, slots: int, path: str) -> float:
    """Train, evaluate and save; the return in evaluation."""
    scale, begun = cell.scale(), time.perf_counter()
    model = train(algorithm, slots, scale)
    wall_s = time.perf_counter() - begun

    def policy(observations: dict[str, Observation]) -> dict[str, int]:
        choices, _ = model.predict(np.stack(list(observations.values())), deterministic=True)
        return dict(zip(observations, choices.tolist(), strict=True))

    reward = cell.evaluate(policy, scale)
    save(path, [*model.policy.mlp_extractor.policy_net, model.policy.action_net], scale)
    print(f"{algorithm}: reward_total {reward!r} after {slots} slots, {wall_s:.0f} s; {path}")
    return reward


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
