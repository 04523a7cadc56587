"""RLlib's PPO on the PettingZoo environment: one network for all pairs, sampled in this process.

python -m examples.outside.rllib ppo 12000 policy.safetensors
"""

from examples.outside import cell  # isort: skip: airtoll first

import sys
import time
from typing import Any

import ray
import torch
from ray.rllib.algorithms.ppo import PPOConfig
from ray.rllib.core.columns import Columns
from ray.rllib.core.rl_module.default_model_config import DefaultModelConfig
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env.wrappers.pettingzoo_env import ParallelPettingZooEnv
from ray.tune.registry import register_env

from airtoll.environments.network_file import save
from airtoll.environments.scaling import Scale

SLOTS_PER_ITERATION = 500
POLICY = "pair"


def config(scale: Scale) -> Any:
    """PPO's configuration: everything in this process."""
    register_env("airtoll", lambda _: ParallelPettingZooEnv(cell.training_env(scale)))
    return (
        PPOConfig()
        .environment("airtoll")
        .env_runners(num_env_runners=0, rollout_fragment_length=SLOTS_PER_ITERATION)
        .learners(num_learners=0)
        .multi_agent(policies={POLICY}, policy_mapping_fn=lambda *_, **__: POLICY)
        .rl_module(
            rl_module_spec=RLModuleSpec(
                model_config=DefaultModelConfig(fcnet_hiddens=[64, 64], fcnet_activation="tanh", vf_share_layers=False)
            )
        )
        .training(
            gamma=0.0,  # fading has no memory here
            lr=1e-3,
            entropy_coeff=0.01,
            train_batch_size_per_learner=SLOTS_PER_ITERATION,
            minibatch_size=500,
            num_epochs=5,
        )
        .debugging(seed=1, log_level="ERROR")
    )


def main(algorithm: str, slots: int, path: str) -> float:
    """Train, evaluate and save; the return in evaluation."""
    torch.set_num_threads(1)
    scale, begun = cell.scale(), time.perf_counter()
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    trained = config(scale).build_algo()
    for _ in range(slots // SLOTS_PER_ITERATION):
        trained.train()
    wall_s = time.perf_counter() - begun
    module = trained.get_module(POLICY)

    def policy(observations: dict[str, Any]) -> dict[str, int]:
        rows = torch.stack([torch.as_tensor(row) for row in observations.values()])
        with torch.no_grad():
            logits = module.forward_inference({Columns.OBS: rows})[Columns.ACTION_DIST_INPUTS]
        return dict(zip(observations, logits.argmax(dim=1).tolist(), strict=True))

    reward = cell.evaluate(policy, scale)
    save(path, [*module.encoder.actor_encoder.net.mlp, *module.pi.net.mlp], scale)
    print(f"rllib {algorithm}: reward_total {reward!r} after {slots} slots, {wall_s:.0f} s; {path}")
    trained.stop()
    ray.shutdown()
    return reward


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
