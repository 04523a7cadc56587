"""A study, carried out: its missing cells over the cores, its results, its pictures."""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from airtoll.cli.study_progress import StudyProgress
from airtoll.plots import study_plots
from controller.config.errors import ConfigError
from controller.studies.cells import Cell, cells_of
from controller.studies.executor import Carried, run_cells
from controller.studies.measures import metrics_of
from controller.studies.results import FILE, Results, read_rows
from controller.studies.study_file import read

_RUNS = "runs"  # folders of the cells' runs, inside the study's
_MAX_NAME_CHARS = 120


class StudyFolder:
    """A study and the folder of its results: what is there, what is missing.

    ConfigError for a study that cannot be carried out, or a results.csv that is none.
    """

    def __init__(self, file: Path, out: Path, environment: dict[str, str]) -> None:
        self.study, self.out = read(file), out
        self.cells = cells_of(self.study, environment)
        metrics = metrics_of(self.study, self.cells)
        self.results = Results(out, self.cells, axes=self.study.axes, metrics=metrics)
        self.missing = self.results.missing()

    @property
    def told(self) -> str:
        """`load-sweep: 40 cells, 12 runs to carry out` and what else there is to say before it starts."""
        runs = len({cell.digest for cell in self.cells})
        said = [f"{self.study.name}: {len(self.cells)} cells"]
        said += [f"{runs} runs, as some stand in several sweeps"] if runs < len(self.cells) else []
        said += [f"{runs - len(self.missing)} done before"] if len(self.missing) < runs else []
        said += [f"{self.results.dropped} rows of other cells dropped"] if self.results.dropped else []
        return ", ".join([*said, f"{len(self.missing)} to carry out"])

    def run(self, watch: StudyProgress, *, workers: int, keep_runs: bool) -> list[str]:
        """Carry out what is missing; the titles of cells that failed. Each result is on the disk when it is told.

        KeyboardInterrupt after Ctrl-C, once every process has stopped.
        """
        failed: list[str] = []
        with _locked(self.out):
            self.results.write()
            told = run_cells(self.missing, self._run_of, workers=workers)
            try:
                with closing(told):
                    for carried in told:
                        failed += self._take(carried, watch, keep_runs=keep_runs)
            finally:
                _remove_if_empty(self.out / _RUNS)
        return failed

    def draw(self) -> Iterator[Path]:
        """Draw every plot from results.csv; the paths. ConfigError when there is none."""
        return study_plots.save(self.study, self.cells, read_rows(self.out / FILE), self.out)

    def _take(self, carried: Carried, watch: StudyProgress, *, keep_runs: bool) -> list[str]:
        cell, summary, reason, last = carried
        if not last:
            watch.warn(f"{cell.title}: {reason}; once more")
            return []
        if summary is None:
            reason = f"{reason}, twice"
            self.results.failed(cell, reason)
        else:
            reason = summary["reason"] if summary["state"] != "SUCCEEDED" else ""
            self.results.done(cell, summary)
            if not keep_runs:
                shutil.rmtree(self._run_of(cell))
        if reason:
            watch.warn(f"{cell.title} failed: {reason}")
        watch.done(cell.title)
        return [cell.title] if reason else []

    def _run_of(self, cell: Cell) -> Path:
        name = re.sub(r"[^\w.=-]+", "_", cell.title)[:_MAX_NAME_CHARS]
        return self.out / _RUNS / f"{name}-{cell.digest}"


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """One study at a time in a folder, which is made. ConfigError for a second."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(out, os.O_RDONLY)
    except OSError as error:
        raise ConfigError(f"out: {out} cannot be made: {error.strerror}; give another folder") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ConfigError(f"out: another study is at work in {out}; wait for it, or give another folder") from error
    finally:
        os.close(descriptor)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
