"""What the schemes without learning earn on the draws on which central.yaml and shared.yaml evaluate: 10,000 per seed.

python -m reproduction.khan2020.references > reproduction/khan2020/results/references.csv
"""

from protocol.determinism import threads

threads.pin()

import csv  # noqa: E402
import sys  # noqa: E402
from collections.abc import Mapping  # noqa: E402
from typing import Any  # noqa: E402

from airtoll.testing.recording import in_process  # noqa: E402
from controller.config.resolved import load  # noqa: E402

METRIC = "sum_rate_mbps"
POWERS_DBM, SEEDS = (20, 43, 50), (1, 2, 3)
SCHEMES: Mapping[str, Any] = {
    "strongest user": "khan2020/strongest_user",
    "FP, converged": "khan2020/fp",
    "FP, best of 20 starts": {"name": "khan2020/fp", "starts": 20, "tolerance": 1e-5},
}


def mbps(scheme: Any, power_dbm: float, seed: int) -> float:
    """Mean sum rate of a run as in the studies."""
    world = {"name": "downlink_cells", "max_power_dbm": power_dbm}
    run = {"world": world, "scheme": scheme, "seed": seed, "replicas": 1000, "slots": 10, "record": {"trace": "none"}}
    windows = in_process(load(run).plan_for("references")).windows
    return sum(window.sums[METRIC] for window in windows) / sum(window.counts[METRIC] for window in windows)


if __name__ == "__main__":
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["scheme", "max_power_dbm", "seed", METRIC])
    for name, scheme in SCHEMES.items():
        for power_dbm in POWERS_DBM:
            for seed in SEEDS:
                table.writerow([name, power_dbm, seed, f"{mbps(scheme, power_dbm, seed):.3f}"])
                sys.stdout.flush()
