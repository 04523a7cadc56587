"""Environment steps per second of an in-process run on one core with its books, at one replica and at many.

    khan2020's shape    3 cells redrawn in each slot, CSI to the cloud, powers back: benchmarks.cells.central
    zhang2025's shape   19 cells with queues, APs exchange what they see: benchmarks.cells.exchange

Each is set beside a bare loop over the same physics and networks, in straight-line numpy without messages; loop / run
is the engine's overhead, which must stay below `at most`. `bound`: what the shapes are to reach on an idle core of the
machine on which they were planned; the ratio to it is printed only. Medians of PAIRS pairs, run and loop in turn.

    python -m benchmarks.replicas
"""

from protocol.determinism import threads

threads.pin()

import statistics  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from dataclasses import dataclass  # noqa: E402

import numpy as np  # noqa: E402

from benchmarks import cells  # noqa: E402
from benchmarks.cells import central, exchange, hexagons, redrawn  # noqa: E402
from channel_server.radio.decibels import to_db  # noqa: E402
from controller.execution.in_process import run_in_process  # noqa: E402
from protocol.determinism.rng import CounterRng  # noqa: E402
from protocol.messages.choreography import Choreography  # noqa: E402
from protocol.messages.kinds import TRAINER_NAME  # noqa: E402
from protocol.messages.plan import LossPlan, PhasePlan, RecordPlan, RunPlan  # noqa: E402
from protocol.messages.telemetry import Telemetry  # noqa: E402
from schemes.contract import NoParams, Scheme  # noqa: E402

PAIRS = 5
SECONDS = 2.0  # about, of each measurement on the machine on which the bounds were set
Loop = Callable[[int, int], None]  # so many slots of so many replicas


@dataclass(frozen=True)
class Shape:
    """A world with its scheme and the bare loop beside; by number of replicas, the steps per second to reach and the
    largest overhead."""

    name: str
    world: str
    agents: Sequence[str]
    scheme: Scheme
    loop: Loop
    bounds: dict[int, tuple[int, float]]


def redrawn_loop(slots: int, replicas: int) -> None:
    """khan2020's shape."""
    rng, policy = CounterRng(1, "redrawn"), central.network(1)
    for slot in range(slots):
        gains = redrawn.draw_gains(rng.at(slot), replicas)
        gains_db = to_db(gains).astype(np.float32).reshape(replicas, -1)
        powers_w = central.powers_w(policy, gains_db).astype(float)
        redrawn.sum_rates_bps_hz(gains, powers_w.reshape(replicas, redrawn.CELLS, redrawn.USERS))


def hexagons_loop(slots: int, replicas: int) -> None:
    """zhang2025's shape; each AP has a network of its own."""
    network = hexagons.Network(seed=1, replicas=replicas)
    policies = [exchange.network(1, node) for node in range(hexagons.CELLS)]
    carried = [policy.first_state(replicas) for policy in policies]
    around = [np.array((node, *near)) for node, near in enumerate(hexagons.NEAR)]
    state = network.first()
    device, level = (np.zeros((replicas, hexagons.CELLS, hexagons.SUBBANDS), np.int8) for _ in range(2))
    for slot in range(slots):
        state = network.begin(state, slot)
        seen = state.local * np.float32(0.01)
        for node, policy in enumerate(policies):
            logits, carried[node] = policy.step(seen[:, around[node]].reshape(replicas, -1), carried[node])
            device[:, node], level[:, node] = exchange.choose(logits)
        state, _left = network.serve(state, device, level)


SHAPES = (
    Shape(
        "khan2020's",
        "benchmark_redrawn",
        redrawn.Redrawn.agents,
        central.SCHEME,
        redrawn_loop,
        {1: (3900, 6.0), 1000: (41_000, 1.5)},
    ),
    Shape(
        "zhang2025's",
        "benchmark_hexagons",
        hexagons.Hexagons.agents,
        exchange.SCHEME,
        hexagons_loop,
        {1: (630, 3.0), 64: (7700, 1.8)},
    ),
)


def plan(shape: Shape, slots: int, replicas: int) -> RunPlan:
    """Of a run of this shape."""
    choreography: Choreography = shape.scheme.choreography(NoParams())
    return RunPlan(
        run_id="replicas",
        nodes=(*shape.agents, *[TRAINER_NAME] * choreography.has_trainer),
        seed=1,
        replicas=replicas,
        world=shape.world,
        world_params={},
        scheme=shape.scheme.card.name,
        scheme_params={},
        choreography=choreography,
        phases=(PhasePlan("eval", slots),),
        episode_slots=None,
        train_delay_slots=0,
        loss=LossPlan("fail", "silent", 10.0, 600.0),
        record=RecordPlan(values=False, frames_slots=0, window_slots=100),
    )


def run(shape: Shape, slots: int, replicas: int) -> None:
    """A run in this process; RuntimeError if it fails."""
    ended = run_in_process(plan(shape, slots, replicas), _ignore)
    if ended.state != "SUCCEEDED":
        raise RuntimeError(ended.reason)


def _ignore(_telemetry: Telemetry) -> None:
    pass


def _steps_per_s(play: Callable[[], None], steps: int) -> float:
    began = time.process_time()  # on one core, and what others do on it does not count
    play()
    return steps / (time.process_time() - began)


def measure(shape: Shape, replicas: int) -> bool:
    """Print a row; whether the overhead is small enough."""
    bound, at_most = shape.bounds[replicas]
    slots = max(20, int(SECONDS * bound / replicas))
    steps = slots * replicas
    run(shape, 3, replicas)  # what is loaded and looked up once
    pairs = [
        (
            _steps_per_s(lambda: run(shape, slots, replicas), steps),
            _steps_per_s(lambda: shape.loop(slots, replicas), steps),
        )
        for _ in range(PAIRS)
    ]
    runs, loops = (statistics.median(column) for column in zip(*pairs, strict=True))
    overhead = statistics.median(loop / run for run, loop in pairs)
    shown = f"{runs:10,.0f} {bound:8,} {runs / bound:6.2f} {loops:10,.0f} {overhead:9.2f} {at_most:8.1f}"
    print(f"{shape.name:12} {replicas:6} {shown}", flush=True)
    return bool(overhead <= at_most)


def main() -> int:
    """Print a table; 1 if an overhead is too large."""
    cells.install()
    print(
        f"{'shape':12} {'E':>6} {'run':>10} {'bound':>8} {'ratio':>6} {'bare loop':>10} {'loop/run':>9} {'at most':>8}"
    )
    reached = [measure(shape, replicas) for shape in SHAPES for replicas in shape.bounds]
    return 0 if all(reached) else 1


if __name__ == "__main__":
    sys.exit(main())
