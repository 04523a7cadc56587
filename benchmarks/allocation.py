"""FP and WMMSE for the 57 links of zhang2025's network, batched over 60 instances, beside plain ports.

A plain port goes instance by instance and link by link, as the algorithms are printed. Both start from full power with
the same weights and take the same number of iterations, so that both must arrive at the same weighted sum rates.
CPU time, medians of PAIRS pairs in turn.

    python -m benchmarks.allocation
"""

from protocol.determinism import threads

threads.pin()

import statistics  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402

import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402

from channel_server.worlds.traffic_cells import TrafficCells, build  # noqa: E402
from schemes.parts.solvers import fp, wmmse  # noqa: E402
from schemes.parts.solvers.ascent import Step, iterate  # noqa: E402
from schemes.parts.solvers.interference import SumRateProblem  # noqa: E402

PAIRS, INSTANCES, ITERATIONS, AT_LEAST = 3, 60, 50, 10.0
Floats = npt.NDArray[np.float64]
Port = Callable[[Floats, Floats, float], Floats]


def instances() -> SumRateProblem:
    """Gains of 60 fading states of one hexagonal drop, queues of 1 to 8 packets as weights."""
    world = build(TrafficCells(subbands=1), seed=1, replicas=INSTANCES)
    state = world.begin(world.reset(), 0)
    gains = world._physics.gains(state.fading)[:, 0, world.drop.cell].astype(float)  # [E, L (tx), L (rx)]
    weights = np.random.default_rng(1).integers(1, 9, gains.shape[:2])
    return SumRateProblem.of(gains, world.budget.noise_w, float(world.budget.powers_w[-1]), weights=weights)


def plain_fp(g: Floats, w: Floats, max_w: float) -> Floats:
    """Shen and Yu 2018, algorithm 3: gains over noise [L (tx), L (rx)], weights [L]; powers [L]."""
    links = range(len(w))
    p, y, gamma = np.full(len(w), max_w), np.zeros(len(w)), np.zeros(len(w))
    for _ in range(ITERATIONS):
        for i in links:
            signal, total = g[i, i] * p[i], g[:, i] @ p + 1
            gamma[i] = signal / (total - signal)
            y[i] = np.sqrt(w[i] * (1 + gamma[i]) * signal) / total
        for i in links:
            slope = np.square(y) @ g[i]
            p[i] = min(max_w, y[i] ** 2 * w[i] * (1 + gamma[i]) * g[i, i] / slope**2)
    return p


def plain_wmmse(g: Floats, w: Floats, max_w: float) -> Floats:
    """Shi et al. 2011 with scalars, as above."""
    links = range(len(w))
    v, u, e = np.full(len(w), np.sqrt(max_w)), np.zeros(len(w)), np.zeros(len(w))
    for _ in range(ITERATIONS):
        for i in links:
            u[i] = np.sqrt(g[i, i]) * v[i] / (g[:, i] @ v**2 + 1)
            e[i] = 1 / (1 - u[i] * np.sqrt(g[i, i]) * v[i])
        for i in links:
            below = g[i] @ (w * e * u**2)
            v[i] = min(np.sqrt(max_w), w[i] * e[i] * u[i] * np.sqrt(g[i, i]) / below)
    return v**2


def measure(name: str, step: Step, port: Port, problem: SumRateProblem) -> bool:
    """Print a row; whether the batched solver is fast enough and arrives where the port does."""
    times = []
    for _ in range(PAIRS):
        began = time.process_time()
        batched_w = iterate(step, problem, problem.max_w, ITERATIONS)
        between = time.process_time()
        limit = float(problem.max_w[0, 0])
        plain_w = np.stack([port(g, w, limit) for g, w in zip(problem.gains, problem.weights, strict=True)])
        times.append((between - began, time.process_time() - between))
    ours, theirs = (statistics.median(column) for column in zip(*times, strict=True))
    rates, plain_rates = problem.sum_rate(batched_w), problem.sum_rate(plain_w)
    apart = float(np.abs(rates / plain_rates - 1).max())
    print(
        f"{name:6} {1e3 * ours / INSTANCES:8.2f} {1e3 * theirs / INSTANCES:8.1f} {theirs / ours:7.1f} {AT_LEAST:9.1f} "
        f"{apart:11.1e}",
        flush=True,
    )
    return theirs / ours >= AT_LEAST and apart < 5e-3


def main() -> int:
    """Print a table; 1 if a solver is too slow or arrives elsewhere."""
    problem = instances()
    print(f"{len(problem.own[0])} links, {INSTANCES} instances, {ITERATIONS} iterations; ms per instance")
    print(f"{'':6} {'batched':>8} {'plain':>8} {'ratio':>7} {'at least':>9} {'rates apart':>11}")
    good = [
        measure("FP", fp.step, plain_fp, problem),
        measure("WMMSE", wmmse.step, plain_wmmse, problem),
    ]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
