"""The spread of FLWF over 100 random starts on the same 20 channels (wong2021 fig. 9), and reuse-3 on them.

    python reproduction/wong2021/starts.py > reproduction/wong2021/results/starts.csv

Some minutes in one process. With a number: so many starts instead of 100.
"""

import sys
import tempfile
from pathlib import Path
from statistics import mean, stdev

import airtoll

STARTS = int(sys.argv[1]) if sys.argv[1:] else 100
SIZES = {"8x4": (8, 4), "32x16": (32, 16)}
ITERATIONS = 20


def rate(size: str, sir_db: float, scheme: dict[str, object]) -> float:
    """The rate of a cell in bit/s/Hz, mean over 20 channels that depend on size and SIR alone."""
    antennas, users = SIZES[size]
    world = {"name": "mumimo_cells", "antennas": antennas, "users": users, "channels": 12, "sir_db": sir_db}
    run = {
        "world": world | {"observation": "gains"},
        "scheme": scheme,
        "slots": 1,
        "replicas": 20,
        "seed": 0,
        "placement": "in-process",
        "record": {"trace": "none"},
    }
    with tempfile.TemporaryDirectory() as folder:
        return float(airtoll.run(run, folder=Path(folder) / "run")["metrics"]["cell_rate_bps_hz"])


def main() -> None:
    """A row per size and SIR."""
    print("size,sir_db,iterations,starts,mean,deviation,lowest,highest,reuse3")
    for size in SIZES:
        for sir_db in (0, 3):
            reuse = rate(size, sir_db, {"name": "wong2021/reuse3"})
            flwf = {"name": "wong2021/flwf", "start": "random", "iterations": ITERATIONS}
            rates = [rate(size, sir_db, flwf | {"draw": draw}) for draw in range(STARTS)]
            numbers = [mean(rates), stdev(rates), min(rates), max(rates), reuse]
            print(size, sir_db, ITERATIONS, STARTS, *(f"{x:.3f}" for x in numbers), sep=",", flush=True)


if __name__ == "__main__":
    main()
