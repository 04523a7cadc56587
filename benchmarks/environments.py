"""Steps per second of the environments for outside learners: TorchRL over 64 replicas, and PettingZoo by its wrapper.

Random actions in li2020's cell of ten pairs, in seconds of this process's CPU; a step is a slot of one replica. The
median of three rounds, and the ratio of the two in the same session, which must be at least MIN_RATIO.

    python -m benchmarks.environments
"""

from protocol.determinism import threads

threads.pin()

import statistics  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from typing import Any  # noqa: E402

import torch  # noqa: E402
from torchrl.envs.libs.pettingzoo import PettingZooWrapper  # noqa: E402

import airtoll  # noqa: E402
from airtoll.environments.sense import Standardised  # noqa: E402
from airtoll.environments.torchrl import AirtollTorchEnv  # noqa: E402

REPLICAS = 64
SLOTS = 100
ROUNDS = 3
MIN_RATIO = 20
CONFIG = {"world": "d2d_underlay", "scheme": "li2020/untrained_actor", "slots": 100_000, "episode_slots": 50}


def steps_per_s(env: Any, replicas: int) -> float:
    """Of one round."""
    begun = time.process_time()
    env.rollout(SLOTS, break_when_any_done=False)
    return replicas * SLOTS / (time.process_time() - begun)


def main() -> int:
    torch.set_num_threads(1)
    batched = AirtollTorchEnv(CONFIG, sense=Standardised, replicas=REPLICAS)
    one = AirtollTorchEnv(CONFIG, sense=Standardised)
    wrapped = PettingZooWrapper(airtoll.parallel_env(CONFIG, sense=Standardised))
    envs = {"TorchRL, 64 replicas": (batched, REPLICAS), "TorchRL, 1 replica": (one, 1), "wrapper": (wrapped, 1)}
    for env, _ in envs.values():
        env.rollout(SLOTS, break_when_any_done=False)  # a first episode, so that every round begins one
    rates = {name: statistics.median(steps_per_s(*of) for _ in range(ROUNDS)) for name, of in envs.items()}
    for name, rate in rates.items():
        print(f"{name:22} {rate:10,.0f} steps/s")
    ratio = rates["TorchRL, 64 replicas"] / rates["wrapper"]
    print(f"{'ratio to the wrapper':22} {ratio:10.1f}, at least {MIN_RATIO}")
    return ratio < MIN_RATIO


if __name__ == "__main__":
    sys.exit(main())
