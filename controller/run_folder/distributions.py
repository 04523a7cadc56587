"""distributions.csv: how often each value of the world's distributions occurred, phase by phase; and its percentiles.

phase,first,last,name,value,count     one row per value that occurred in the slots first..last
"""

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from io import StringIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from controller.run_folder.files import DamagedFileError, csv_rows
from controller.run_folder.layout import DISTRIBUTIONS
from protocol.messages.telemetry import Occurrences

COLUMNS = ("phase", "first", "last", "name", "value", "count")
PERCENTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99, "max": 1.0}


class Histogram(NamedTuple):
    """The values of a distribution that occurred in a phase, ascending, and how often each did; [values] each."""

    phase: str
    first: int
    last: int
    name: str
    values: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]


def percentile_units(units: Mapping[str, str]) -> dict[str, str]:
    """The unit of every percentile, from those of the distributions."""
    return {f"{name}_{of}": unit for name, unit in units.items() for of in PERCENTILES}


def lines(occurrences: Occurrences) -> bytes:
    """The rows of a phase."""
    written = StringIO()
    of_phase = (occurrences.phase, occurrences.first, occurrences.last, occurrences.name)
    counted = ((value, count) for value, count in enumerate(occurrences.counts) if count)
    rows = ((*of_phase, f"{value * occurrences.step:.12g}", count) for value, count in counted)
    csv.writer(written, lineterminator="\n").writerows(rows)
    return written.getvalue().encode()


def read(folder: Path) -> list[Histogram]:
    """The histograms of a run's folder, in order; none where nothing was counted. DamagedFileError."""
    path = folder / DISTRIBUTIONS
    found: dict[tuple[str, int, int, str], list[tuple[float, int]]] = defaultdict(list)
    try:
        for row in csv_rows(path):
            key = (row["phase"], int(row["first"]), int(row["last"]), row["name"])
            found[key].append((float(row["value"]), int(row["count"])))
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedFileError(f"{path} is damaged: {error}") from error
    return [Histogram(*key, *map(np.array, zip(*rows, strict=True))) for key, rows in found.items()]


def percentiles(histograms: Iterable[Histogram]) -> dict[str, float]:
    """Of all values together, by `NAME_p50` and so on: the smallest value that at least this share does not exceed."""
    by_name: dict[str, list[Histogram]] = defaultdict(list)
    for histogram in histograms:
        by_name[histogram.name].append(histogram)
    found: dict[str, float] = {}
    for name, parts in by_name.items():
        values, at = np.unique(np.concatenate([part.values for part in parts]), return_inverse=True)
        shares = np.bincount(at, np.concatenate([part.counts for part in parts])).cumsum()
        shares /= shares[-1]
        found |= {f"{name}_{of}": float(values[np.argmax(shares >= share)]) for of, share in PERCENTILES.items()}
    return found
