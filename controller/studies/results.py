"""A study's results: one row per cell in results.csv, whole at any moment, in the order of the grid.

sweep, axes ...   where the cell stands; the axes of other sweeps are empty
seed
metrics ...       means over eval
tolls ...         bytes and bits told per slot and node, in training (warmup and train) and in eval, in all and by kind
wall_s            what the run took
trace_digest      equal for equal runs, as in a run's summary.json
state, reason     done; or failed, and why: then there are no figures
cell              digest of the resolved configuration: a row is taken over by a later study that has the same cell
"""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from controller.config.errors import ConfigError
from controller.studies.cells import Cell
from controller.studies.measures import COLUMNS, TOLLS, WALL, figures, in_all

FILE = "results.csv"
_DONE = "SUCCEEDED"
_SWEEP, _SEED, *_LAST = COLUMNS


class Results:
    """The rows there are, and those that are wanted."""

    def __init__(self, folder: Path, cells: Sequence[Cell], *, axes: Sequence[str], metrics: Sequence[str]) -> None:
        self.path, self._cells = folder / FILE, cells
        self._axes, self._metrics = axes, metrics
        old = read_rows(self.path) if self.path.exists() else []
        wanted = {cell.digest for cell in cells}
        usable = [row for row in old if row["state"] == _DONE and row.keys() >= set(metrics)]
        self._told = {row["cell"]: row for row in usable if row["cell"] in wanted}
        self.dropped = len({row["cell"] for row in old} - wanted)

    def missing(self) -> list[Cell]:
        """A cell for each run that has still to be carried out."""
        first: dict[str, Cell] = {}
        for cell in self._cells:
            if cell.digest not in self._told:
                first.setdefault(cell.digest, cell)
        return list(first.values())

    def done(self, cell: Cell, summary: Mapping[str, Any]) -> None:
        """A run that came to its end, well or not."""
        about = {key: summary[key] for key in ("trace_digest", "state", "reason")}
        found = figures(summary, cell.config) if summary["state"] == _DONE else {}
        self._add(cell, {name: repr(value) for name, value in found.items()} | about)

    def failed(self, cell: Cell, reason: str) -> None:
        """A run that could not be carried out."""
        self._add(cell, {"state": "FAILED", "reason": reason})

    def write(self) -> None:
        """The whole file, or the one before."""
        text = StringIO()
        tolls = [name for name in TOLLS if any(row.get(name) for row in self._told.values())]
        columns = [_SWEEP, *self._axes, _SEED, *self._metrics, *tolls, WALL, *_LAST]
        writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._row(cell, tolls) for cell in self._cells if cell.digest in self._told)
        draft = self.path.with_name(f".{FILE}.tmp")
        draft.write_text(text.getvalue(), "utf-8")
        draft.replace(self.path)

    def _add(self, cell: Cell, told: dict[str, str]) -> None:
        self._told[cell.digest] = told
        self.write()

    def _row(self, cell: Cell, tolls: Sequence[str]) -> dict[str, str]:
        told, here = self._told[cell.digest], {_SWEEP: cell.sweep, _SEED: str(cell.config.seed), "cell": cell.digest}
        nothing = {name: "0.0" for name in tolls if told.get(in_all(name))}  # other cells told notes of this kind
        return nothing | told | dict.fromkeys(self._axes, "") | cell.labels | here


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a results.csv. ConfigError when it is none."""
    try:
        rows = list(csv.DictReader(StringIO(path.read_text("utf-8"), newline=""), restval=""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read: {error}; give another --out") from error
    if rows and not rows[0].keys() >= {*COLUMNS, WALL}:
        raise ConfigError(f"{path} is no study's results: columns are missing; give another --out, or remove it")
    return rows
