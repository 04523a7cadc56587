"""A slice of a study's cells, for one of several machines, and the union of what they have computed."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from controller.config.errors import ConfigError, invalid
from controller.studies.cells import StudyCell
from controller.studies.curves import LearningCurves
from controller.studies.results import RESULTS_FILE, StudyResults, read_rows

WEIGHTS_FOLDER = "weights"


@dataclass(frozen=True)
class Slice:
    """The `number`th, from 1, of `count` slices of a study's runs."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Slice":
        """`2/4`. ConfigError for what is none."""
        number, _, count = text.partition("/")
        if not (number.isdecimal() and count.isdecimal() and 1 <= int(number) <= int(count)):
            raise ConfigError(invalid("--cells", text, "must be I/N, a slice of N from 1 to N, such as 1/4"))
        return cls(int(number), int(count))

    def digests(self, cells: Sequence[StudyCell]) -> set[str]:
        """The cells of this slice: every N-th run in the order of the grid, each together with the runs that start from
        its weights. They depend on the study's file alone, not on what is done."""
        groups = list(dict.fromkeys(cell.trained_by or cell.digest for cell in cells))
        own = set(groups[self.number - 1 :: self.count])
        return {cell.digest for cell in cells if (cell.trained_by or cell.digest) in own}


@dataclass(frozen=True)
class Merged:
    """`taken`: runs that came from the folders; `twice`: titles of cells that several had, all with equal traces."""

    taken: int
    twice: tuple[str, ...]


def merge(
    folders: Sequence[Path],
    out: Path,
    cells: Sequence[StudyCell],
    results: StudyResults,
    curves: Sequence[LearningCurves],
) -> Merged:
    """Take the results of other folders of the same study into `out`. `curves`: those of `out`.

    ConfigError for a folder without results, and for a cell of which two have different traces.
    """
    first = {cell.digest: cell for cell in reversed(cells)}
    found: dict[str, dict[str, str]] = {row["cell"]: row for row in results.done_rows}
    before, source, twice = len(found), dict.fromkeys(found, out), list[str]()
    for folder in folders:
        for row in _rows(folder):
            cell, other = row["cell"], found.get(row["cell"])
            if cell not in first or row["state"] != "SUCCEEDED" or source.get(cell) == folder:
                continue
            if other is None:
                found[cell], source[cell] = row, folder
            elif other["trace_digest"] == row["trace_digest"]:
                twice.append(first[cell].title)
            else:
                fix = "they were computed by different versions; merge only one of them"
                raise ConfigError(f"--merge: {source[cell]} and {folder} differ in {first[cell].title}: {fix}")
    for folder in folders:
        own = [cell for cell, at in source.items() if at == folder]
        for one in curves:
            one.take(folder, own)
        _copy_weights(folder, out)
    results.take(found)
    return Merged(len(found) - before, tuple(dict.fromkeys(twice)))


def _rows(folder: Path) -> list[dict[str, str]]:
    if not (folder / RESULTS_FILE).is_file():
        raise ConfigError(f"--merge: {folder} has no {RESULTS_FILE}; give folders of this study, made with --cells I/N")
    return read_rows(folder / RESULTS_FILE)


def _copy_weights(folder: Path, out: Path) -> None:
    for file in sorted((folder / WEIGHTS_FOLDER).glob("*")):
        (out / WEIGHTS_FOLDER).mkdir(exist_ok=True)
        shutil.copy2(file, out / WEIGHTS_FOLDER / file.name)
