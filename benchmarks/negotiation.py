"""Slots and probes per second of FLWF in `mumimo_cells`, in process on one core with books, at one replica and at many.

    python -m benchmarks.negotiation

wong2021's cells with (M, U) = (8, 4) and 6 channels, 20 iterations a slot. CPU time, so that a busy machine counts
little; starting the run is left out by taking the difference of two runs.
"""

import time

from controller.config.resolved import load
from controller.execution.in_process import run_in_process
from protocol.messages.telemetry import Telemetry

ITERATIONS = 20
SLOTS = {1: 40, 16: 20, 64: 8}  # by replicas


def seconds(slots: int, replicas: int) -> float:
    """CPU time of a run of so many slots. RuntimeError if it fails."""
    scheme = {"name": "wong2021/flwf", "iterations": ITERATIONS}
    config = {"world": "mumimo_cells", "scheme": scheme, "slots": slots, "replicas": replicas}
    plan = load(config).plan_for("negotiation")
    began = time.process_time()
    ended = run_in_process(plan, _ignore)
    if ended.state != "SUCCEEDED":
        raise RuntimeError(ended.reason)
    return time.process_time() - began


def _ignore(_telemetry: Telemetry) -> None:
    pass


def main() -> None:
    """Print a table."""
    print(f"{'replicas':>8} {'env steps/s':>12} {'probe turns/s':>14}")
    for replicas, slots in SLOTS.items():
        seconds(1, replicas)  # what is loaded and looked up once
        took = seconds(slots + 1, replicas) - seconds(1, replicas)
        print(f"{replicas:8} {slots * replicas / took:12,.0f} {slots * ITERATIONS / took:14,.0f}", flush=True)


if __name__ == "__main__":
    main()
