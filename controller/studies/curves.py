"""The learning curves of a study: curves.csv, one row per cell and evaluation of its run.

cell, round, trained_slots, metrics ...   means over the slots of that evaluation
"""

import csv
from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from controller.config.errors import ConfigError
from controller.run_folder.files import replace_file

CURVES_FILE = "curves.csv"
_KEYS = ("cell", "round", "trained_slots")


class LearningCurves:
    """The evaluations of each cell's run, by the cell's digest."""

    def __init__(self, folder: Path, metrics: Sequence[str]) -> None:
        self._path, self._metrics = folder / CURVES_FILE, metrics
        self._rows: dict[str, list[dict[str, str]]] = {}
        if self._path.exists():
            self._read()

    def of(self, cell: str) -> list[dict[str, str]]:
        """The rows of a cell, in order of rounds."""
        return self._rows.get(cell, [])

    def add(self, cell: str, summary: Mapping[str, Any]) -> None:
        """Take a run's evaluations from its summary, and replace curves.csv."""
        evaluations = [phase for phase in summary["phases"] if phase["phase"] == "eval"]
        self._rows[cell] = [
            {"cell": cell, "round": str(phase["round"]), "trained_slots": str(phase["trained_slots"])}
            | {name: repr(mean) for name, mean in phase["metrics"].items() if mean is not None}
            for phase in evaluations
        ]
        text = StringIO()
        columns = [*_KEYS, *self._metrics]
        writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for rows in self._rows.values() for row in rows)
        replace_file(self._path, text.getvalue().encode())

    def _read(self) -> None:
        try:
            rows = list(csv.DictReader(StringIO(self._path.read_text("utf-8"), newline=""), restval=""))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ConfigError(f"{self._path} cannot be read: {error}; give another --out") from error
        if rows and not rows[0].keys() >= set(_KEYS):
            raise ConfigError(f"{self._path} holds no learning curves: columns are missing; give another --out")
        for row in rows:
            self._rows.setdefault(row["cell"], []).append(row)
