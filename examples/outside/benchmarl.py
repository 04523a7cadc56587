"""BenchMARL's MAPPO, IPPO and QMIX on the batched TorchRL environment; its JSON is what marl-eval reads.

    python -m examples.outside.benchmarl mappo 40000 policy.safetensors

One network for all pairs. Trains on that many slots, in 16 replicas of the cell at once, evaluates, and writes the
policy for `examples.outside.networked`.
"""

from examples.outside import cell  # isort: skip: airtoll first

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from benchmarl.algorithms import IppoConfig, MappoConfig, QmixConfig
from benchmarl.environments.common import TaskClass
from benchmarl.experiment import Experiment, ExperimentConfig
from benchmarl.models import MlpConfig
from tensordict import TensorDict
from torchrl.data import Composite
from torchrl.envs import EnvBase
from torchrl.envs.utils import ExplorationType, set_exploration_type
from torchrl.modules import MultiAgentMLP

from airtoll.environments.network_file import save
from airtoll.environments.scaling import Scale
from airtoll.environments.torchrl import AirtollTorchEnv

REPLICAS = 16
ALGORITHMS = {"mappo": MappoConfig, "ippo": IppoConfig, "qmix": QmixConfig}


class CellTask(TaskClass):
    """The shared cell as a task of BenchMARL. `config["scale"]`: of the observations."""

    def get_env_fun(
        self, num_envs: int, continuous_actions: bool, seed: int | None, device: str
    ) -> Callable[[], EnvBase]:
        return lambda: after_evaluation(self.config["scale"], num_envs, device)

    def supports_continuous_actions(self) -> bool:
        return False

    def supports_discrete_actions(self) -> bool:
        return True

    def has_render(self, env: EnvBase) -> bool:
        return False

    def max_steps(self, env: EnvBase) -> int:
        return cell.EPISODE_SLOTS

    def group_map(self, env: EnvBase) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = env.group_map
        return groups

    def observation_spec(self, env: EnvBase) -> Composite:
        spec = env.full_observation_spec_unbatched.clone()
        del spec["state"]
        return spec

    def state_spec(self, env: EnvBase) -> Composite:
        return Composite(state=env.full_observation_spec_unbatched["state"].clone())

    def action_spec(self, env: EnvBase) -> Composite:
        return env.full_action_spec_unbatched

    def action_mask_spec(self, env: EnvBase) -> None:
        return None

    def info_spec(self, env: EnvBase) -> None:
        return None

    @staticmethod
    def env_name() -> str:
        return "airtoll"


def after_evaluation(scale: Scale, replicas: int, device: str) -> AirtollTorchEnv:
    """An environment whose next episode lies after the slots for evaluation, which are played in silence."""
    env = AirtollTorchEnv(cell.CONFIG, view=cell.VIEW, sense=scale, replicas=replicas, device=device)
    silence = {"pair": {"action": torch.zeros((replicas, len(env.group_map["pair"])), dtype=torch.int64)}}
    env.reset()
    for _ in range(cell.EVAL_SLOTS):
        env.step(TensorDict(silence, batch_size=[replicas]))
    return env


def experiment(algorithm: str, slots: int, scale: Scale, folder: Path) -> Experiment:
    """The experiment, which `run` trains; marl-eval's JSON goes to `folder`."""
    torch.set_num_threads(1)
    config = ExperimentConfig.get_from_yaml()
    config.sampling_device = config.train_device = config.buffer_device = "cpu"
    config.gamma, config.lr = 0.0, 1e-3  # fading has no memory here
    config.max_n_frames, config.max_n_iters = slots, None
    config.on_policy_n_envs_per_worker = config.off_policy_n_envs_per_worker = REPLICAS
    config.on_policy_collected_frames_per_batch = config.off_policy_collected_frames_per_batch = 50 * REPLICAS
    config.on_policy_minibatch_size, config.on_policy_n_minibatch_iters = 400, 5
    config.off_policy_n_optimizer_steps, config.off_policy_train_batch_size = 50, 128
    config.exploration_anneal_frames = slots // 2
    config.evaluation_episodes, config.evaluation_interval = 2, max(10 * 50 * REPLICAS, slots // 160 * 50 * REPLICAS)
    config.loggers, config.create_json, config.render = [], True, False
    config.save_folder = str(folder)
    model = MlpConfig(num_cells=[64, 64], activation_class=torch.nn.Tanh, layer_class=torch.nn.Linear)
    return Experiment(
        CellTask("CELL", {"scale": scale}),
        ALGORITHMS[algorithm].get_from_yaml(),
        model,
        seed=1,
        config=config,
        critic_model_config=model,
    )


def main(algorithm: str, slots: int, path: str) -> float:
    """Train, evaluate and save; the return in evaluation."""
    scale, begun = cell.scale(), time.perf_counter()
    folder = Path(path).with_suffix("")
    folder.mkdir(parents=True, exist_ok=True)
    trained = experiment(algorithm, slots, scale, folder)
    trained.run()
    wall_s = time.perf_counter() - begun

    def policy(observations: dict[str, Any]) -> dict[str, int]:
        rows = torch.stack([torch.as_tensor(row) for row in observations.values()])
        pairs = TensorDict({"observation": rows[None]}, batch_size=[1, len(rows)])
        with set_exploration_type(ExplorationType.DETERMINISTIC), torch.no_grad():
            chosen = trained.policy(TensorDict({"pair": pairs}, batch_size=[1]))["pair", "action"][0]
        return dict(zip(observations, chosen.tolist(), strict=True))

    reward = cell.evaluate(policy, scale)
    [network, *_] = (module for module in trained.policy.modules() if isinstance(module, MultiAgentMLP))
    save(path, network.get_stateful_net(), scale)
    print(f"{algorithm}: reward_total {reward!r} after {slots} slots, {wall_s:.0f} s; {path}")
    return reward


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
