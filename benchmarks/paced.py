"""The paced clock: the share of turns missed with slots of 10 ms and 20 agents with the 512-128 actor.

all prompt   on two idle cores at most MAX_MISSED of all turns may be missed
flooded      the same run while clients flood a controller of this machine with configurations: printed, without a bound
one slow     an agent that needs 40 ms for a reply misses all its turns; the others stay within MAX_MISSED

python -m benchmarks.paced [slots]
"""

from protocol.determinism import threads

threads.pin()

import multiprocessing  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402

from benchmarks.flood import CLIENTS, flooded_controller  # noqa: E402
from benchmarks.slow_node import WithSlowNode  # noqa: E402
from controller.config.resolved import load  # noqa: E402
from controller.execution.controls import NO_CONTROLS  # noqa: E402
from controller.execution.processes import NodeProcesses  # noqa: E402
from protocol.messages.telemetry import Paced, Spread, Telemetry  # noqa: E402

SLOTS = 2000
SLOT_MS, SLOW_S = 10.0, 0.040
MAX_MISSED = 0.01
SLOW = "pair-7"


def main() -> int:
    """Print the shares of missed turns; 1 if a share is over its bound, or the slow agent did not miss every turn."""
    multiprocessing.set_forkserver_preload(["controller.execution.preload"])
    slots = int(sys.argv[1]) if len(sys.argv) > 1 else SLOTS
    config = load(
        {
            "world": {"name": "d2d_underlay", "pairs": 20},
            "scheme": "li2020/untrained_actor",
            "slots": slots,
            "clock": {"slot_ms": SLOT_MS},
        }
    )
    plan = config.plan_for("paced")
    prompt = _played(NodeProcesses(plan))
    missed = _share(prompt, set(prompt.turns))
    print(f"all prompt: {missed:.3%} of turns missed (at most {MAX_MISSED:.0%})")
    _print_times(prompt)
    with flooded_controller() as answers:
        first, began = answers.value, time.monotonic()
        flooded = _played(NodeProcesses(plan))
        rate = (answers.value - first) / (time.monotonic() - began)
    share = _share(flooded, set(flooded.turns))
    print(f"flooded by {CLIENTS} clients ({rate:.1f} configurations/s): {share:.3%} missed, alone {missed:.3%}")
    _print_times(flooded)
    slowed = _played(WithSlowNode(plan, SLOW, SLOW_S))
    own, others = _share(slowed, {SLOW}), _share(slowed, set(slowed.turns) - {SLOW})
    print(f"{SLOW} slow: it missed {own:.1%} of its turns, the others {others:.3%} (at most {MAX_MISSED:.0%})")
    _print_times(slowed)
    return int(missed > MAX_MISSED or others > MAX_MISSED or own < 1)


def _played(processes: NodeProcesses) -> Paced:
    with processes:
        ended = processes.run(_ignore, NO_CONTROLS)
    if ended.paced is None or ended.state != "SUCCEEDED":
        raise RuntimeError(f"the run {ended.state}: {ended.reason}")
    return ended.paced


def _ignore(_telemetry: Telemetry) -> None:
    pass


def _share(paced: Paced, names: set[str]) -> float:
    return sum(paced.missed.get(name, 0) for name in names) / sum(paced.turns[name] for name in names)


def _print_times(paced: Paced) -> None:
    for what, times in (("slots", paced.length_ms), ("starts late by", paced.lateness_ms)):
        print(f"  {what:15} {_spread(times)}", flush=True)


def _spread(times: Spread) -> str:
    return f"mean {times.mean:.2f}, p50 {times.p50:.2f}, p99 {times.p99:.2f}, max {times.max:.2f} ms"


if __name__ == "__main__":
    sys.exit(main())
