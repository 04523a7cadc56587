"""Random allocation in li2020's cell over 20,000 slots per row: 400 drops of 50 slots each.

The expected values are computed (the paper prints none): both readings of the BS's 46 dBm at the 3GPP intercept of
148 dB, and the total reading at 128.1 dB. Outages vary far more between drops than between slots.

    python -m benchmarks.random_allocation
"""

from protocol.determinism import threads

threads.pin()

import sys  # noqa: E402
from typing import Any  # noqa: E402

import numpy as np  # noqa: E402

from channel_server.worlds.d2d_underlay import WORLD, D2DUnderlay  # noqa: E402

DROPS, SLOTS, REPLICAS = 400, 50, 20
METRICS = ("cellular_outage", "d2d_outage", "d2d_sum_rate_bps_hz")
TOTAL: dict[str, Any] = {"bs_power_split": "total", "d2d_intercept_db": 148.0}
PER_RB: dict[str, Any] = {"bs_power_split": "per_rb", "d2d_intercept_db": 148.0}
TRENDS: dict[str, Any] = {"bs_power_split": "total", "d2d_intercept_db": 128.1}
ROWS: list[tuple[str, dict[str, Any], int, tuple[float | None, ...]]] = [
    ("total, 148", TOTAL, 10, (0.005, 0.28, None)),
    ("total, 148", TOTAL, 30, (0.015, 0.28, None)),
    ("total, 148", TOTAL, 50, (0.027, 0.29, None)),
    ("per_rb, 148", PER_RB, 10, (0.002, 0.60, None)),
    ("per_rb, 148", PER_RB, 30, (0.005, 0.60, None)),
    ("per_rb, 148", PER_RB, 50, (0.009, 0.60, None)),
    ("total, 128.1", TRENDS, 10, (0.047, 0.030, 89.0)),
    ("total, 128.1", TRENDS, 30, (0.126, 0.035, 259.0)),
    ("total, 128.1", TRENDS, 50, (0.200, 0.044, 416.0)),
]


def main() -> int:
    """Print each row with the expected values in brackets."""
    print(f"{'reading':13} {'N':>3}   " + "   ".join(f"{name:>25}" for name in METRICS))
    for reading, params, pairs, expected in ROWS:
        means = measure(D2DUnderlay(pairs=pairs, **params))
        cells = [f"{mean:9.4g} ({'-' if e is None else f'{e:g}':>6})" for mean, e in zip(means, expected, strict=True)]
        print(f"{reading:13} {pairs:>3}   " + "   ".join(f"{cell:>25}" for cell in cells), flush=True)
    return 0


def measure(params: D2DUnderlay) -> list[float]:
    """Means of METRICS with uniformly random RBs."""
    sums, counts = np.zeros(len(METRICS)), np.zeros(len(METRICS))
    for seed in range(DROPS // REPLICAS):
        world = WORLD.build(params, seed=seed, replicas=REPLICAS)
        columns = [[m.name for m in world.metrics].index(name) for name in METRICS]
        rng, state = np.random.default_rng(seed), world.reset()
        for slot in range(SLOTS):
            state = world.begin(state, slot)
            state, outcome = world.transmit(state, [world.random(node, rng) for node in range(params.pairs)])
            sums += outcome.sums[columns]
            counts += outcome.counts[columns]
    return list(sums / counts)


if __name__ == "__main__":
    sys.exit(main())
