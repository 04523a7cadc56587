"""The tables of docs/reproduction/zhang2025.md, from the results beside this file.

    python -m reproduction.zhang2025.tables

A row per network, preset, load and scheme: means over seeds with the half width of their 95 % confidence interval.
"""

import csv
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from airtoll.analysis.confidence import mean_of

RESULTS = Path(__file__).with_name("results")
CELLULAR = {"world.preset": "preset", "world.load_packets_s": "load", "scheme": "scheme"}
DELAYS_MS = ("delay_ms", "delay_ms_p50", "delay_ms_p95", "delay_ms_p99", "delay_ms_max")
GRAPH = {"world.load": "load", "scheme": "scheme"}


def rows(study: str, axes: dict[str, str], metrics: tuple[str, ...]) -> Iterator[str]:
    """Markdown rows of a study that has been run, the point of the grid first."""
    points: dict[tuple[str, ...], list[list[float]]] = defaultdict(list)
    with (RESULTS / study / "results.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            points[tuple(row[axis] for axis in axes)].append([float(row[metric]) for metric in metrics])
    for point, by_seed in points.items():
        cells = [_mean(list(values)) for values in zip(*by_seed, strict=True)]
        yield " | ".join(["", study, *point, *cells, ""]).strip()


def _mean(values: list[float]) -> str:
    mean = mean_of(values)
    return f"{mean.value:.3g} ± {mean.half:.2g}"


def main() -> int:
    """Print the tables of the studies that have results."""
    for study, axes, metrics in (
        ("hexagonal", CELLULAR, DELAYS_MS),
        ("random", CELLULAR, DELAYS_MS),
        ("conflict_graph", GRAPH, ("delay_slots", "delay_1_slot", "delay_5_slots")),
    ):
        if (RESULTS / study / "results.csv").exists():
            print("\n".join(rows(study, axes, metrics)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
