"""Seconds per update of MAAC and NAAC, and how far that is from the floor: what the products of an update take at the
speed of a single large product, measured in the same session.

The paper's sizes, batch 64, one thread; processor time, so that what else runs hardly counts; medians of 5. Required is
the distance from the floor. A loop over agents (autograd, tests/schemes/li2020/plain_maac.py) is shown beside it: at
these sizes it is bound by the same products, so its ratio can be no more than its own distance from the floor.

    python -m benchmarks.learner
"""

from protocol.determinism import threads

threads.pin()

import statistics  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import replace  # noqa: E402

import numpy as np  # noqa: E402
import torch  # noqa: E402

from schemes.li2020.learner_maac import MaacLearner, MaacSettings, everybody, neighbours  # noqa: E402
from schemes.parts.replay import JointTrajectory  # noqa: E402
from tests.schemes.li2020.plain_maac import PlainMaac  # noqa: E402

PAIRS, LIMIT = 5, 1.35  # times the floor
INPUTS, CHOICES, HISTORY = 40, 10, 200


def settings_for(agents: int, known: int) -> MaacSettings:
    """Critics that know the next `known` - 1 agents around a ring, or everybody."""
    ring = [[(i + j) % agents for j in range(1, known)] for i in range(agents)]
    inputs = everybody(agents) if known == agents else neighbours(ring)
    return MaacSettings(INPUTS, CHOICES, inputs)


def filled(settings: MaacSettings) -> MaacLearner:
    """A learner with random histories."""
    rng, across = np.random.default_rng(1), (HISTORY, 1, settings.agents)
    states = rng.standard_normal((HISTORY + 1, 1, settings.agents, INPUTS), dtype=np.float32)
    learner = MaacLearner(settings, seed=1)
    learner.add(JointTrajectory(states, rng.integers(CHOICES, size=across), rng.random(across, dtype=np.float32)))
    learner.learn(2)
    return learner


def ratio(settings: MaacSettings) -> float:
    """Of the plain loop's time to the stacked learner's, median over PAIRS."""
    learner, rng = filled(settings), np.random.default_rng(2)
    plain = PlainMaac(learner)
    ratios = []
    for _ in range(PAIRS + 1):
        minibatch = learner.replay.sample(rng, settings.batch)
        noise = rng.gumbel(size=(settings.agents, settings.batch, CHOICES))
        stacked_s = seconds(lambda m=minibatch, n=noise: learner.update(m, n))  # type: ignore[misc]
        ratios.append(seconds(lambda m=minibatch, n=noise: plain.update(m, n)) / stacked_s)  # type: ignore[misc]
    return statistics.median(ratios[1:])  # the first fills caches and Adam's moments


def update_s(settings: MaacSettings) -> float:
    """Seconds per update, median over PAIRS."""
    learner = filled(settings)
    return statistics.median(seconds(lambda: learner.learn(1)) for _ in range(PAIRS))


def floor_s(settings: MaacSettings) -> float:
    """The multiplications of one update at the speed of a large product."""
    n, b, m = settings.agents, settings.batch, settings.known
    first, second, third = settings.critic_hidden
    states, join, head = m * settings.inputs * first, (first + m * settings.n_actions) * second, second * third
    back = first * second
    a, c = settings.actor_hidden
    actor = settings.inputs * a + a * c + c * settings.n_actions
    # critic: two passes forward, weights' gradients; head also back, and there and back for the actors; actors alike
    products = 3 * states + 3 * join + back + 6 * head + 4 * actor
    return 2 * n * b * products / product_flops()


def product_flops() -> float:
    """Of one [64, 1024] x [1024, 8192] product."""
    x, w, y = torch.randn(64, 1024), torch.randn(1024, 8192), torch.empty(64, 8192)
    fastest = min(seconds(lambda: torch.mm(x, w, out=y)) for _ in range(20))
    return 2 * 64 * 1024 * 8192 / fastest


def seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def main() -> int:
    """Print; 1 if an update is too far from its floor."""
    torch.set_num_threads(1)
    worst = 0.0
    print(f"{'':24} {'s/update':>9} {'floor':>9} {'times':>9} (at most {LIMIT:g})")
    for name, agents, known in (("MAAC", 10, 10), ("MAAC", 20, 20), ("MAAC", 50, 50), ("NAAC", 20, 4), ("NAAC", 50, 4)):
        settings = settings_for(agents, known)
        update, floor = update_s(settings), floor_s(settings)
        worst = max(worst, update / floor)
        print(f"{name} N = {agents:<17} {update:9.3f} {floor:9.3f} {update / floor:9.2f}", flush=True)
    small = replace(settings_for(20, 20), actor_hidden=(64, 64), critic_hidden=(64, 64, 64))
    print(f"plain / stacked, N = 20: MAAC {ratio(settings_for(20, 20)):.2f}", flush=True)
    print(f"  NAAC {ratio(settings_for(20, 4)):.2f}; MAAC with hidden layers of 64 {ratio(small):.2f}")
    return int(worst > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
