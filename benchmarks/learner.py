"""Processor time of one MAAC or NAAC update: the learner that runs, the readable reference, and the floor.

The floor is the time of an update's multiplications at the speed of a single large product, measured in the same
session. Two kinds of networks: the paper's (actor 512-128, critic 1024-512-256, 40 inputs) and those of
examples/d2d-maac.yaml (64-64, 128-64-64, 13 inputs), both gated, and the paper's with the plain join and the Gumbel
gradient. 10 choices, batch 64, one thread; medians of 5. The command fails if an update with the paper's networks takes
more than LIMIT times its floor.

    python -m benchmarks.learner
"""

from protocol.determinism import threads

threads.pin()

import statistics  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from typing import NamedTuple  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402

from schemes.li2020.learner_maac import MaacLearner  # noqa: E402
from schemes.li2020.learner_maac_reference import MaacReferenceLearner  # noqa: E402
from schemes.li2020.maac import Maac  # noqa: E402
from schemes.parts.critic_inputs import CriticInputs, Gates, all_agents, nearest_agents  # noqa: E402
from schemes.parts.replay import Transitions  # noqa: E402

REPEATS, LIMIT = 5, 1.35  # times the floor
CHOICES, HISTORY = 10, 200
REFERENCE_MAX_AGENTS = 20  # beyond, the reference takes too long


class Networks(NamedTuple):
    """A name, the parameters, the size of an agent's state, and how many of its vectors per RB gate the join."""

    name: str
    params: Maac
    inputs: int
    gates: int

    @property
    def gate_inputs(self) -> Gates:
        return tuple(tuple(range(g * CHOICES, (g + 1) * CHOICES)) for g in range(self.gates))


PAPER = Networks("paper", Maac(), 40, 4)
PLAIN = Networks("plain", Maac(critic_join="plain", actor_gradient="gumbel"), 40, 0)
EXAMPLE = Networks("example", Maac(actor_hidden=(64, 64), critic_hidden=(128, 64, 64), actor_rate=1e-3), 13, 1)
ROWS = [
    ("MAAC", PAPER, 10, 10),
    ("MAAC", PLAIN, 10, 10),
    ("MAAC", PAPER, 20, 20),
    ("MAAC", PAPER, 50, 50),
    ("NAAC", PAPER, 20, 4),
    ("NAAC", PAPER, 50, 4),
    ("MAAC", EXAMPLE, 10, 10),
    ("MAAC", EXAMPLE, 20, 20),
]


def critic_inputs(agents: int, known: int) -> CriticInputs:
    """Critics that know all agents, or the next `known` - 1 around a ring."""
    ring = [[(i + j) % agents for j in range(1, known)] for i in range(agents)]
    return all_agents(agents) if known == agents else nearest_agents(ring)


def history(agents: int, inputs: int) -> Transitions:
    """Random transitions."""
    rng, across = np.random.default_rng(1), (HISTORY, 1, agents)
    states = rng.standard_normal((HISTORY + 1, 1, agents, inputs), dtype=np.float32)
    return Transitions(states, rng.integers(CHOICES, size=across), rng.random(across, dtype=np.float32))


def update_s(
    learner: type[MaacLearner] | type[MaacReferenceLearner], networks: Networks, agents: int, known: int
) -> float:
    """Seconds per update, median over REPEATS."""
    instance = learner(
        networks.params,
        inputs=networks.inputs,
        n_actions=CHOICES,
        critic_inputs=critic_inputs(agents, known),
        gates=networks.gate_inputs,
        seed=1,
    )
    instance.add(history(agents, networks.inputs))
    instance.learn(2)  # fills caches and Adam's moments
    return statistics.median(seconds(lambda: instance.learn(1)) for _ in range(REPEATS))


def floor_s(networks: Networks, agents: int, known: int) -> float:
    """Seconds for the multiplications of one update at the speed of a large product."""
    params, inputs = networks.params, networks.inputs
    first, second, third = params.critic_hidden
    own = (1 + networks.gates) * CHOICES * second  # of the join: the own action and its products
    states, join, head = known * inputs * first, (first + (known - 1) * CHOICES) * second + own, second * third
    a, c = params.actor_hidden
    actor = 4 * (inputs * a + a * c + c * CHOICES)  # its own pass, the target's, and both ways back
    # critic: two forward passes and the weights' gradients; the head and the states' columns of the join also backward
    critic = 3 * states + 3 * join + first * second + 4 * head
    # actors, through the critic: the own action in its layer, then the head for all own actions, or both ways for one
    through = 2 * own + CHOICES * head if params.actor_gradient == "expected" else 2 * own + 2 * head
    products = critic + actor + through
    return 2 * agents * params.batch * products / product_flops()


def product_flops() -> float:
    """Floating-point operations per second of one [64, 1024] x [1024, 8192] product."""
    x, w, y = torch.randn(64, 1024), torch.randn(1024, 8192), torch.empty(64, 8192)
    fastest = min(seconds(lambda: torch.mm(x, w, out=y)) for _ in range(20))
    return 2 * 64 * 1024 * 8192 / fastest


def seconds(call: Callable[[], object]) -> float:
    """Processor time, which other processes on the machine hardly change."""
    start = time.process_time()
    call()
    return time.process_time() - start


def main() -> int:
    """Print a row per case; 1 if an update is too far from its floor."""
    torch.set_num_threads(1)
    worst = 0.0
    print("milliseconds per update")
    print(f"{'':18} {'networks':8} {'stacked':>8} {'reference':>9} {'ratio':>6} {'floor':>7} {'stacked / floor':>16}")
    for name, networks, agents, known in ROWS:
        stacked = update_s(MaacLearner, networks, agents, known)
        floor = floor_s(networks, agents, known)
        reference, ratio = "-", "-"
        if agents <= REFERENCE_MAX_AGENTS:
            plain = update_s(MaacReferenceLearner, networks, agents, known)
            reference, ratio = f"{1e3 * plain:.1f}", f"{plain / stacked:.2f}"
        if networks is not EXAMPLE:
            worst = max(worst, stacked / floor)
        print(
            f"{name} N = {agents:<9} {networks.name:8} {1e3 * stacked:8.1f} {reference:>9} {ratio:>6} "
            f"{1e3 * floor:7.1f} {stacked / floor:16.2f}",
            flush=True,
        )
    print(f"stacked / floor with the paper's networks: at most {worst:.2f} (limit {LIMIT:g})")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
