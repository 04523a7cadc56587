"""FLWF along the axes of wong2021's figures 7 to 9, beside the other schemes without learning.

    python reproduction/wong2021/curves.py fig7 > reproduction/wong2021/results/fig7.csv

    fig7    against SIR, (M, U) = (32, 16), N_f = 6, after 5 to 100 iterations; 4 channels for each of 3 seeds
    fig8    against T, (8, 4), N_f = 6, 0 dB, with powers carried from slot to slot or not; 160 channels, 3 seeds
    fig9    against iterations, (8, 4), N_f = 12, 0 and 3 dB; 10 channels for each of 3 seeds
    starts  30 random starts on the same 20 channels, (8, 4), N_f = 12: mean, deviation and range, reuse-3 beside

Each takes about a minute on a free core, in one process. Intervals are 95 %, over seeds, by Student's t.
"""

import csv
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import airtoll
from airtoll.analysis.confidence import mean_of

SEEDS = range(3)
STARTS = 30
SIZES = {"8x4": {"antennas": 8, "users": 4}, "32x16": {"antennas": 32, "users": 16}}
Row = dict[str, Any]


def flwf(iterations: int, start: str = "random", draw: int = 0) -> Row:
    """The scheme's settings."""
    return {"name": "wong2021/flwf", "iterations": iterations, "start": start, "draw": draw}


def rates(metric: str, *, world: Row, scheme: Row | str, seed: int, **settings: Any) -> float:
    """A metric of a run, in bit/s/Hz; its channels depend on sizes, SIR and seed alone."""
    run = {
        "world": {"name": "mumimo_cells", "observation": "gains", **world},
        "scheme": scheme,
        "seed": seed,
        "placement": "in-process",
        "record": {"trace": "none"},
        **settings,
    }
    with tempfile.TemporaryDirectory() as folder:
        return float(airtoll.run(run, folder=Path(folder) / "run")["metrics"][metric])


def over_seeds(metric: str, **run: Any) -> Row:
    """Mean and half the interval."""
    values = [rates(metric, seed=seed, **run) for seed in SEEDS]
    found = mean_of(values)
    return {metric: found.value, "interval": found.half}


def fig7() -> Iterator[Row]:
    schemes: dict[str, Row | str] = {"random": "ours/random", "SSWF": "wong2021/sswf", "reuse-3": "wong2021/reuse3"}
    schemes |= {f"FLWF {k}": flwf(k) for k in (5, 10, 20, 100)}
    for sir_db in (0, 3, 6, 10):
        for name, scheme in schemes.items():
            world = SIZES["32x16"] | {"channels": 6, "sir_db": sir_db}
            rate = over_seeds("cell_rate_bps_hz", world=world, scheme=scheme, slots=1, replicas=4)
            yield {"sir_db": sir_db, "scheme": name, **rate}


def fig8() -> Iterator[Row]:
    schemes: dict[str, Row | str] = {"SSWF": "wong2021/sswf"}
    schemes |= {f"FLWF {k}, {start}": flwf(k, start) for k in (5, 20) for start in ("equal", "carried")}
    for slots in (1, 2, 5, 10):
        for name, scheme in schemes.items():
            world = {"budget_slots": slots}
            run = {"slots": 20, "replicas": 8, "episode_slots": slots}
            yield {"T": slots, "scheme": name, **over_seeds("user_rate_bps_hz", world=world, scheme=scheme, **run)}


def fig9() -> Iterator[Row]:
    for sir_db in (0, 3):
        world = SIZES["8x4"] | {"channels": 12, "sir_db": sir_db}
        for k in (1, 5, 10, 20, 50, 100):
            rate = over_seeds("cell_rate_bps_hz", world=world, scheme=flwf(k), slots=1, replicas=10)
            yield {"size": "8x4", "sir_db": sir_db, "iterations": k, **rate}


def starts() -> Iterator[Row]:
    run: Row = {"seed": 0, "slots": 1, "replicas": 20}
    for sir_db in (0, 3):
        world = SIZES["8x4"] | {"channels": 12, "sir_db": sir_db}
        found = [rates("cell_rate_bps_hz", world=world, scheme=flwf(20, draw=draw), **run) for draw in range(STARTS)]
        spread = {"mean": mean(found), "deviation": stdev(found), "lowest": min(found), "highest": max(found)}
        others: dict[str, Row | str] = {"reuse-3": "wong2021/reuse3", "FLWF 100": flwf(100)}
        beside = {name: rates("cell_rate_bps_hz", world=world, scheme=scheme, **run) for name, scheme in others.items()}
        yield {"size": "8x4", "sir_db": sir_db, "iterations": 20, "starts": STARTS, **spread, **beside}


CURVES: dict[str, Callable[[], Iterator[Row]]] = {"fig7": fig7, "fig8": fig8, "fig9": fig9, "starts": starts}


def main() -> None:
    """Print the rows of the curve that the first argument names, as CSV."""
    table = csv.writer(sys.stdout, lineterminator="\n")
    for number, row in enumerate(CURVES[sys.argv[1]]()):
        if number == 0:
            table.writerow(row)
        table.writerow([f"{x:.3f}" if isinstance(x, float) else x for x in row.values()])
        sys.stdout.flush()


if __name__ == "__main__":
    main()
