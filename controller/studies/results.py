"""A study's results: one row per cell in results.csv, in the order of the grid; the file is replaced as a whole.

sweep, axes ...   the cell's sweep and labels; the axes of other sweeps are empty
seed
metrics ...       means over eval
tolls ...         bytes and bits sent per slot and node, in training (warmup and train) and in eval, in all and by kind;
                  likewise attempts, which count resends, and notes lost
training_slots    slots of warmup and train; updates: of the learners; empty where there are none
wall_s            duration of the run
trace_digest      equal for equal runs, as in a run's summary.json
state, reason     SUCCEEDED; or FAILED, and why: then there are no numbers
cell              digest of the resolved configuration: a later study with the same cell reuses the row
"""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from controller.config.errors import ConfigError
from controller.run_folder.files import replace_file
from controller.studies.cells import StudyCell
from controller.studies.measures import COLUMNS, EFFORTS, TOLLS, WALL, in_all, measures

RESULTS_FILE = "results.csv"
_DONE = "SUCCEEDED"
_SWEEP, _SEED, *_LAST = COLUMNS


class StudyResults:
    """The rows that exist, and the cells that have none yet."""

    def __init__(
        self, folder: Path, cells: Sequence[StudyCell], *, axes: Sequence[str], metrics: Sequence[str]
    ) -> None:
        self.path, self._cells = folder / RESULTS_FILE, cells
        self._axes, self._metrics = axes, metrics
        old = read_rows(self.path) if self.path.exists() else []
        wanted = {cell.digest for cell in cells}
        usable = [row for row in old if row["state"] == _DONE and row.keys() >= set(metrics)]
        self._rows = {row["cell"]: row for row in usable if row["cell"] in wanted}
        self.dropped = len({row["cell"] for row in old} - wanted)

    def missing(self) -> list[StudyCell]:
        """A cell for each run that is still to be executed."""
        first: dict[str, StudyCell] = {}
        for cell in self._cells:
            if cell.digest not in self._rows:
                first.setdefault(cell.digest, cell)
        return list(first.values())

    @property
    def done_rows(self) -> list[dict[str, str]]:
        """The rows of the cells that have succeeded."""
        return [row | {"cell": digest} for digest, row in self._rows.items() if row["state"] == _DONE]

    def take(self, rows: Mapping[str, dict[str, str]]) -> None:
        """Take rows of other folders by cell, where they have all metrics, and write the file."""
        wanted = {cell.digest for cell in self._cells}
        usable = {cell: row for cell, row in rows.items() if cell in wanted and row.keys() >= set(self._metrics)}
        self._rows |= usable
        self.write()

    def done(self, cell: StudyCell, summary: Mapping[str, Any]) -> None:
        """Add a run that has ended, whatever its state."""
        outcome = {key: summary[key] for key in ("trace_digest", "state", "reason")}
        numbers = measures(summary, cell.run) if summary["state"] == _DONE else {}
        self._add(cell, {name: repr(value) for name, value in numbers.items()} | outcome)

    def failed(self, cell: StudyCell, reason: str) -> None:
        """Add a run whose process died."""
        self._add(cell, {"state": "FAILED", "reason": reason})

    def write(self) -> None:
        """Replace results.csv."""
        text = StringIO()
        tolls = [name for name in TOLLS if any(row.get(name) for row in self._rows.values())]
        efforts = [name for name in EFFORTS if any(row.get(name) for row in self._rows.values())]
        columns = [_SWEEP, *self._axes, _SEED, *self._metrics, *tolls, *efforts, WALL, *_LAST]
        writer = csv.DictWriter(text, columns, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self._row(cell, tolls) for cell in self._cells if cell.digest in self._rows)
        replace_file(self.path, text.getvalue().encode())

    def _add(self, cell: StudyCell, row: dict[str, str]) -> None:
        self._rows[cell.digest] = row
        self.write()

    def _row(self, cell: StudyCell, tolls: Sequence[str]) -> dict[str, str]:
        row = self._rows[cell.digest]
        here = {_SWEEP: cell.sweep, _SEED: str(cell.run.config.seed), "cell": cell.digest}
        nothing = {name: "0.0" for name in tolls if row.get(in_all(name))}  # other cells sent notes of this kind
        return nothing | row | dict.fromkeys(self._axes, "") | cell.labels | here


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a results.csv. ConfigError for any other file."""
    try:
        rows = list(csv.DictReader(StringIO(path.read_text("utf-8"), newline=""), restval=""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} cannot be read: {error}; give another --out") from error
    if rows and not rows[0].keys() >= {*COLUMNS, WALL}:
        raise ConfigError(f"{path} holds no results of a study: columns are missing; give another --out, or remove it")
    return rows
