"""Slots per second of a run with late, lost and limited notes, as a ratio to the same run with ideal signalling.

20 pairs in processes. In li2020/greedy_central every pair and every cellular user sends the trainer its gains in every
slot, and the trainer sends each pair its RB; in li2020/sla the BS sends each pair one bit. Budgets are large enough to
keep queues short. Median of 5 pairs of runs.

    python -m benchmarks.relay [slots]
"""

from protocol.determinism import threads

threads.pin()

import multiprocessing  # noqa: E402
import statistics  # noqa: E402
import sys  # noqa: E402
from typing import Any  # noqa: E402

from controller.config.resolved import load  # noqa: E402
from controller.execution.processes import run_processes  # noqa: E402
from protocol.messages.telemetry import Telemetry  # noqa: E402

AGENTS, SLOTS, PAIRS = 20, 1000, 5
MIN_RATIO = 0.85
SCHEMES = ("li2020/greedy_central", "li2020/sla")
IMPAIRED = {
    "all": {"delay_slots": 1, "loss": 0.1},
    "uplink": {"bits_per_slot": 10_000},
    "downlink": {"bits_per_slot": 10},
}


def slots_per_s(scheme: str, signalling: Any, slots: int) -> float:
    """Slots per second of a run in processes."""
    record = {"frames_slots": 0}
    world = {"name": "d2d_underlay", "pairs": AGENTS}
    config = load({"world": world, "scheme": scheme, "slots": slots, "signalling": signalling, "record": record})
    ended = run_processes(config.plan_for("relay"), _ignore)
    if ended.state != "SUCCEEDED":
        raise RuntimeError(ended.reason)
    return slots / ended.wall_s


def _ignore(_telemetry: Telemetry) -> None:
    pass


def main() -> int:
    """Print the ratios; 1 if one of them is under its bound."""
    multiprocessing.set_forkserver_preload(["controller.execution.preload", "benchmarks.relay"])
    slots = int(sys.argv[1]) if sys.argv[1:] else SLOTS
    failed = False
    for scheme in SCHEMES:
        pairs = [(slots_per_s(scheme, IMPAIRED, slots), slots_per_s(scheme, "ideal", slots)) for _ in range(PAIRS)]
        impaired, ideal = (f"{statistics.median(column):,.0f}" for column in zip(*pairs, strict=True))
        ratio = statistics.median(impaired_rate / ideal_rate for impaired_rate, ideal_rate in pairs)
        failed |= ratio < MIN_RATIO
        print(f"{scheme}, {AGENTS} agents, slots per second: impaired {impaired}, ideal {ideal}")
        print(f"  impaired / ideal {ratio:.2f}  (at least {MIN_RATIO})", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
