"""Memory of every process of a learning run over 20,000 slots: after the first quarter it must not grow.

The replay holds 2,000 slots, so that it is full by then. Memory is USS (unique set size).

    python -m tests.soak.endurance
"""

from protocol.determinism import threads

threads.pin()

import sys  # noqa: E402

import psutil  # noqa: E402

from controller.config.resolved import load  # noqa: E402
from controller.execution.controls import NO_CONTROLS  # noqa: E402
from controller.execution.processes import NodeProcesses  # noqa: E402
from protocol.messages.telemetry import Progress, Telemetry  # noqa: E402

SLOTS, EARLY, LATE = 20_000, 5_000, 19_000
MAX_MB = 4.0
SCHEME = {
    "name": "li2020/maac",
    "actor_hidden": [32, 16],
    "critic_hidden": [32, 32, 16],
    "batch": 16,
    "replay_capacity": 2000,
    "updates_per_upload": 2,
}


def main() -> int:
    """Print growth by process; 1 if one has grown by more than MAX_MB."""
    config = load(
        {
            "world": {"name": "d2d_underlay", "pairs": 4, "rbs": 3},
            "scheme": SCHEME,
            "phases": {"warmup": 500, "train": SLOTS - 500, "eval": 0},
            "train_delay_slots": 5,
        }
    )
    before, after = _sampled(NodeProcesses(config.plan_for("endurance")))
    growth_mb = {name: after[name] - before[name] for name in before}
    for name, grown in growth_mb.items():
        print(
            f"{name:9} {before[name]:7.1f} MB at slot {EARLY:,}, {grown:+.1f} MB by slot {LATE:,} (at most +{MAX_MB})"
        )
    return int(max(growth_mb.values()) > MAX_MB)


def _sampled(processes: NodeProcesses) -> tuple[dict[str, float], dict[str, float]]:
    """USS in MB by process, early and late in the run."""
    samples: list[dict[str, float]] = []
    marks = [EARLY, LATE]

    def sample(telemetry: Telemetry) -> None:
        if isinstance(telemetry, Progress) and marks and telemetry.slot >= marks[0]:
            marks.pop(0)
            samples.append(_uss_mb(processes))

    with processes:
        ended = processes.run(sample, NO_CONTROLS)
    if ended.state != "SUCCEEDED" or len(samples) != 2:
        raise RuntimeError(f"the run {ended.state}: {ended.reason}")
    return samples[0], samples[1]


def _uss_mb(processes: NodeProcesses) -> dict[str, float]:
    alive = {"channel": processes.channel.pid, **{name: node.pid for name, node in processes.nodes.items()}}
    return {name: psutil.Process(pid).memory_full_info().uss / 1e6 for name, pid in alive.items()}


if __name__ == "__main__":
    sys.exit(main())
