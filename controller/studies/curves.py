"""The learning curves of a study: curves.csv, one row per cell and evaluation of its run; and, for studies that draw
them, windows.csv, one per cell and window of its slots, training included.

cell, round, trained_slots, metrics ...   means over the slots of that evaluation
cell, slot, metrics ...                   means over the window's slots; `slot` is the one after its last
"""

import csv
from collections.abc import Collection, Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any

from controller.config.errors import ConfigError
from controller.run_folder.files import replace_file
from controller.run_folder.reader import RunFolder
from controller.run_folder.summary import means

CURVES_FILE, WINDOWS_FILE = "curves.csv", "windows.csv"
_EVALUATIONS, _WINDOWS = ("cell", "round", "trained_slots"), ("cell", "slot")


class LearningCurves:
    """The evaluations, or the windows, of each cell's run, by the cell's digest. ConfigError for another file."""

    def __init__(self, path: Path, keys: Sequence[str], metrics: Sequence[str]) -> None:
        self._path, self._keys, self._metrics = path, keys, metrics
        self._rows: dict[str, list[dict[str, str]]] = {}
        if self._path.exists():
            self._read()

    @classmethod
    def of_evaluations(cls, folder: Path, metrics: Sequence[str]) -> "LearningCurves":
        """Those in a study's curves.csv."""
        return cls(folder / CURVES_FILE, _EVALUATIONS, metrics)

    @classmethod
    def of_windows(cls, folder: Path, metrics: Sequence[str]) -> "LearningCurves":
        """Those in a study's windows.csv."""
        return cls(folder / WINDOWS_FILE, _WINDOWS, metrics)

    def of(self, cell: str) -> list[dict[str, str]]:
        """The rows of a cell, in order of rounds or slots."""
        return self._rows.get(cell, [])

    def take(self, folder: Path, cells: Collection[str]) -> None:
        """Take the rows of these cells from another folder's file of the same kind."""
        other = LearningCurves(folder / self._path.name, self._keys, self._metrics)
        for cell in cells:
            if rows := other.of(cell):
                self.add(cell, rows)

    def add(self, cell: str, rows: Iterable[dict[str, str]]) -> None:
        """Take a cell's rows, and replace the file."""
        self._rows[cell] = [{"cell": cell} | row for row in rows]
        text = StringIO()
        columns = [*self._keys, *self._metrics]
        writer = csv.DictWriter(text, columns, restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(row for rows in self._rows.values() for row in rows)
        replace_file(self._path, text.getvalue().encode())

    def _read(self) -> None:
        try:
            rows = list(csv.DictReader(StringIO(self._path.read_text("utf-8"), newline=""), restval=""))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ConfigError(f"{self._path} cannot be read: {error}; give another --out") from error
        if rows and not rows[0].keys() >= set(self._keys):
            raise ConfigError(f"{self._path} holds no learning curves: columns are missing; give another --out")
        for row in rows:
            self._rows.setdefault(row["cell"], []).append(row)


def evaluations(summary: Mapping[str, Any]) -> list[dict[str, str]]:
    """A run's evaluations, from its summary."""
    return [
        {"round": str(phase["round"]), "trained_slots": str(phase["trained_slots"])} | _texts(phase["metrics"])
        for phase in summary["phases"]
        if phase["phase"] == "eval"
    ]


def windows(run: RunFolder) -> list[dict[str, str]]:
    """A run's windows, from its folder."""
    return [{"slot": str(window.last + 1)} | _texts(means([window])) for window in run.windows()]


def _texts(numbers: Mapping[str, float | None]) -> dict[str, str]:
    return {name: repr(number) for name, number in numbers.items() if number is not None}
