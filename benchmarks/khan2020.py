"""khan2020's schemes on one core: episodes acted per second by 1000 replicas, and how long an iteration of TRPO takes
beside its matrix products alone.

The floor of an iteration is the number of its floating-point operations in matrix products, by the rate of a product of
the largest layer's shape: forward passes, the gradient, two products per step of the conjugate gradient (each as long
as two forward passes), the line search, and the value network's updates. Medians of ROUNDS.

Last, the time of one decision of the network (table IV): of the policy at the cloud; of a BS's own, and B of them in
turn; of FP and WMMSE from full power until they converge.

    python -m benchmarks.khan2020
"""

from protocol.determinism import threads

threads.pin()

import statistics  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402

import msgspec  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402

from channel_server.worlds.downlink_cells import DownlinkCells, build  # noqa: E402
from controller.config.resolved import load  # noqa: E402
from controller.execution.in_process import run_in_process  # noqa: E402
from protocol.messages.telemetry import Telemetry  # noqa: E402
from schemes.khan2020.learner_powers import CentralLearner, central  # noqa: E402
from schemes.khan2020.network_info import NetworkInfo  # noqa: E402
from schemes.khan2020.optimiser import OptimiserSettings, solve  # noqa: E402
from schemes.khan2020.policy import policy_of  # noqa: E402
from schemes.khan2020.trpo_central import TrpoCentral  # noqa: E402
from schemes.parts.numpy_nets import Network, draw_policy  # noqa: E402
from schemes.parts.numpy_nets.architecture import Architecture, GaussianHead, Linear  # noqa: E402
from schemes.parts.rollout import Rollout  # noqa: E402
from schemes.parts.solvers import fp, wmmse  # noqa: E402
from schemes.parts.solvers.ascent import Step  # noqa: E402

REPLICAS, SLOTS, ROUNDS = 1000, 40, 5
WANTED_PER_S = 50_000
CELLS, USERS = 3, 2
SETTINGS = TrpoCentral()


def acting_per_s(scheme: str) -> float:
    """Episodes per CPU second of a run in this process with its books; what it takes before its first slots is left
    out."""

    def seconds(slots: int) -> float:
        plan = load(
            {
                "world": "downlink_cells",
                "scheme": scheme,
                "replicas": REPLICAS,
                "slots": slots,
                "untrained": True,
                "record": {"trace": "none"},
            }
        ).plan_for("benchmark")
        began = time.process_time()
        run_in_process(plan, _ignore)
        return time.process_time() - began

    return REPLICAS * SLOTS / (seconds(SLOTS + 2) - seconds(2))


def iteration() -> tuple[float, float]:
    """CPU seconds of an iteration of trpo_central, and of its matrix products alone."""
    powers = CELLS * USERS
    learner = central(SETTINGS, SETTINGS, gains=CELLS * powers, powers=powers, seed=1)
    rng = np.random.default_rng(1)
    learner.add(_rows(rng))
    learner.learn(1)
    learner.add(_rows(rng))
    began = time.process_time()
    stats = learner.learn(1)
    took = time.process_time() - began
    return took, _flops(learner, int(stats["backtracks"])) / _flops_per_s()


def _rows(rng: np.random.Generator) -> Rollout:
    shape = (1, REPLICAS, CELLS)
    states = rng.standard_normal((*shape, CELLS * USERS)).astype(np.float32)
    ends = np.ones((1, REPLICAS), bool)
    return Rollout(
        states=states,
        actions=np.clip(rng.standard_normal((*shape, USERS)), 0, 1).astype(np.float32),
        rewards=rng.random(shape).astype(np.float32),
        next_states=states,
        log_probs=None,
        terminated=ends,
        truncated=~ends,
    )


def _flops(learner: CentralLearner, backtracks: int) -> float:
    """Of an iteration with so many shorter steps: forward passes of both networks, a backward pass being two."""
    nets = learner.nets
    policy = _forward(nets.policy.architecture) * (3 + backtracks + 1 + 2 + 2 + 4 * SETTINGS.cg_iterations)
    value = _forward(nets.value.architecture) * (2 + 3 * SETTINGS.value_epochs)
    return policy + value


def _forward(architecture: Architecture) -> float:
    """Floating-point operations of the matrix products of one pass over all rows."""
    widths = list(architecture.widths())
    outputs = {i: layer.outputs for i, (layer, _) in enumerate(widths) if isinstance(layer, Linear)}
    outputs |= {i: 2 * layer.size for i, (layer, _) in enumerate(widths) if isinstance(layer, GaussianHead)}
    return float(sum(2 * REPLICAS * widths[i][1] * out for i, out in outputs.items()))


def _flops_per_s() -> float:
    """Of products [M, 256] x [256, 256] in float32."""
    a, b = torch.rand(REPLICAS, 256), torch.rand(256, 256)
    repeats = 200
    began = time.process_time()
    for _ in range(repeats):
        a @ b
    return 2 * REPLICAS * 256 * 256 * repeats / (time.process_time() - began)


def decisions_ms() -> dict[str, float]:
    """Wall milliseconds of a decision for one network, by scheme."""
    world = build(DownlinkCells(), seed=1, replicas=1)
    info, gains = msgspec.convert(world.static_info(0), NetworkInfo), world.begin(world.reset(), 0).gain
    rng, powers = np.random.default_rng(1), CELLS * USERS

    def policy(inputs: int, outputs: int) -> Callable[[], object]:
        architecture = policy_of(SETTINGS, inputs, outputs)
        network, x = Network(architecture, draw_policy(architecture, rng)), np.zeros((1, inputs), np.float32)
        return lambda: network(x)

    def solver(step: Step) -> Callable[[], object]:
        return lambda: solve(step, OptimiserSettings(), info, gains, rng)

    full, partial = policy(powers, USERS), policy(powers + powers - USERS, USERS)
    return {
        "trpo_central": _ms(policy(CELLS * powers, powers)),
        "trpo_full": _ms(full),
        "trpo_partial": CELLS * _ms(partial),
        "fp": _ms(solver(fp.step)),
        "wmmse": _ms(solver(wmmse.step)),
        "random": _ms(lambda: rng.random(powers)),
    }


def _ms(decide: Callable[[], object]) -> float:
    """Median of many calls."""
    took = []
    for _ in range(300):
        began = time.perf_counter()
        decide()
        took.append(time.perf_counter() - began)
    return 1e3 * statistics.median(took)


def _ignore(_: Telemetry) -> None: ...


def _median(measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(ROUNDS))


if __name__ == "__main__":
    for scheme in ("khan2020/trpo_central", "khan2020/trpo_partial", "khan2020/trpo_full", "khan2020/strongest_user"):
        per_s = _median(lambda scheme=scheme: acting_per_s(scheme))  # type: ignore[misc]
        print(f"{scheme:26} {per_s:9,.0f} episodes/s, {per_s / WANTED_PER_S:5.2f} of the {WANTED_PER_S:,} wanted")
    for name, ms in decisions_ms().items():
        print(f"{name:26} {ms:8.3f} ms per decision")
    pairs = [iteration() for _ in range(ROUNDS)]
    took, floor = (statistics.median(pair[i] for pair in pairs) for i in (0, 1))
    print(f"TRPO, M = {REPLICAS}: {took * 1e3:.0f} ms, matrix products {floor * 1e3:.0f} ms, ratio {took / floor:.2f}")
