"""Executes a study: its missing cells, its results, its plots."""

import fcntl
import json
import os
import re
import shlex
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from enum import Enum
from pathlib import Path

from airtoll.analysis.study_summary import SUMMARY_FILE, Summary, csv_of, summarised
from airtoll.cli.study_progress import StudyProgress, Work
from airtoll.plots import study_plots
from controller.config.errors import ConfigError
from controller.config.layers import WEIGHTS_SUFFIX
from controller.config.start_weights import read_start_weights
from controller.run_folder.files import replace_file
from controller.run_folder.reader import RunFolder
from controller.studies.aggregates import AGGREGATES_FILE, aggregates
from controller.studies.budget import check_budget
from controller.studies.cells import StudyCell, cells_of
from controller.studies.curves import LearningCurves, evaluations, windows
from controller.studies.executor import CellResult, run_cells
from controller.studies.marl_eval import marl_eval
from controller.studies.measures import EFFORTS, TOLLS, TOTALS, WALL, metrics_of, units_of
from controller.studies.results import RESULTS_FILE, StudyResults, read_rows
from controller.studies.slices import WEIGHTS_FOLDER, Merged, Slice, merge
from controller.studies.study_file import compared_to, read

_CELL_RUNS = "runs"  # folders of the cells' runs, inside the study's
_MAX_FOLDER_CHARS = 120


class Export(Enum):
    """Formats of other tools that a study's results can be written in."""

    MARL_EVAL = "marl-eval"


class StudyFolder:
    """A study and the folder of its results: what exists, what is missing.

    `compare_to`: what differences are taken from, instead of the file's. `only`: the slice of the cells to run, None
    for all. ConfigError for an invalid study, or a results.csv that holds no results.
    """

    def __init__(
        self,
        file: Path,
        out: Path,
        environment: dict[str, str],
        *,
        compare_to: Mapping[str, str] | None = None,
        only: Slice | None = None,
    ) -> None:
        self.study, self.out, self._file = compared_to(read(file), compare_to), out, file
        self.cells = cells_of(self.study, environment)
        self.metrics = metrics_of(self.study, self.cells)
        self.results = StudyResults(out, self.cells, axes=self.study.axes, metrics=self.metrics)
        self._curves = LearningCurves.of_evaluations(out, self.metrics)
        self._windows = LearningCurves.of_windows(out, self.metrics) if self.study.draws_windows else None
        own = {cell.digest for cell in self.cells} if only is None else only.digests(self.cells)
        missing = self._with_windows(self.results.missing())
        self.missing = self._with_training([cell for cell in missing if cell.digest in own])
        self.not_drawn: list[str] = []  # the names of plots that had no rows, when last drawn
        self._others = len({cell.digest for cell in missing} - own)

    @property
    def overview(self) -> str:
        """`load-sweep: 40 cells, 28 done before, 12 to run`."""
        runs = len({cell.digest for cell in self.cells})
        parts = [f"{self.study.name}: {len(self.cells)} cells"]
        parts += [f"{runs} runs, as some belong to several sweeps"] if runs < len(self.cells) else []
        before = runs - len(self.missing) - self._others
        parts += [f"{before} done before"] if before else []
        parts += [f"{self._others} of other slices"] if self._others else []
        parts += [f"{self.results.dropped} rows of other cells dropped"] if self.results.dropped else []
        return ", ".join([*parts, f"{len(self.missing)} to run"])

    def run(self, watch: StudyProgress, *, workers: int, keep_runs: bool) -> list[str]:
        """Execute the missing cells; the titles of those that failed. `watch` is called when a row has been written.

        KeyboardInterrupt after Ctrl-C, when every process has stopped.
        """
        failed: list[str] = []
        with _locked(self.out):
            self.results.write()
            results = run_cells(self.missing, self._run_of, self._weights_of, workers=workers)
            try:
                with closing(results):
                    for result in results:
                        failed += self._take(result, watch, keep_runs=keep_runs)
            finally:
                _remove_if_empty(self.out / _CELL_RUNS)
        return failed

    def merge(self, folders: Sequence[Path]) -> Merged:
        """Take the results of slices of this study. ConfigError, see `merge`."""
        with _locked(self.out):
            curves = [self._curves, *([] if self._windows is None else [self._windows])]
            return merge(folders, self.out, self.cells, self.results, curves)

    @property
    def without_folder(self) -> list[str]:
        """The titles of cells that are done, but whose runs' folders were not kept."""
        missing = {cell.digest for cell in self.results.missing()}
        kept = {path.name.rpartition("-")[2] for path in (self.out / _CELL_RUNS).glob("*")}
        return [cell.title for cell in self.cells if cell.digest not in missing | kept]

    @property
    def work(self) -> dict[str, Work]:
        """What the missing cells are expected to cost, by title."""
        return {cell.title: work_of(cell) for cell in self.missing}

    @property
    def known_work(self) -> list[tuple[Work, float]]:
        """The cells that were done before, and the durations of their runs."""
        rows = {row["cell"]: row for row in self.results.done_rows}
        return [(work_of(cell), float(rows[cell.digest][WALL])) for cell in self.cells if cell.digest in rows]

    def aggregate(self) -> tuple[Path, tuple[str, ...]]:
        """Write aggregates.csv from results.csv; its path, and what its numbers leave out."""
        path = self.out / AGGREGATES_FILE
        made = aggregates(self.study, read_rows(self.out / RESULTS_FILE), self.metrics)
        replace_file(path, made.file)
        return path, made.remarks

    def summarise(self) -> tuple[Path, Summary]:
        """Write summary.csv from results.csv; its path and content. ConfigError without results."""
        path, rows = self.out / SUMMARY_FILE, read_rows(self.out / RESULTS_FILE)
        done = {row["cell"] for row in rows if row["state"] == "SUCCEEDED"}
        lacking = [cell.title for cell in self.cells if cell.digest not in done]
        numbers = [*self.metrics, *(name for name in (*TOLLS, *EFFORTS, WALL) if any(row.get(name) for row in rows))]
        budget = check_budget(self.study, self.cells, rows)
        made = summarised(self.study, rows, numbers, lacking, budget)
        replace_file(path, csv_of(made.rows, self.study.axes))
        return path, made

    def export(self, form: Export) -> Path:
        """Write the results in another tool's format; the file's path. ConfigError when a cell has no results."""
        path = self.out / f"{form.value}.json"
        data = marl_eval(self.study, self.cells, self._curves, self.metrics)
        replace_file(path, json.dumps(data, indent=1, allow_nan=False).encode())
        return path

    def draw(self, *, required: bool = False) -> Iterator[Path]:
        """Draw every plot from results.csv; the paths. ConfigError when there is none, or when a plot is `required` and
        none can be drawn."""
        rows, drawn = read_rows(self.out / RESULTS_FILE), set[str]()
        stems = [sweep.stem_of(plot) for sweep in self.study.sweeps for plot in sweep.plots]
        curves = {"trained_slots": self._curves, "slot": self._windows}
        command = shlex.join(["airtoll", "study", str(self._file), "--out", str(self.out)])
        about = study_plots.About(self.cells, check_budget(self.study, self.cells, rows), command)
        for path in study_plots.save(self.study, rows, self.out, about, curves):
            drawn.add(path.stem)
            yield path
        self.not_drawn = [stem for stem in stems if stem not in drawn]
        if required and not drawn:
            raise ConfigError(
                f"--plots-only: nothing can be drawn from {self.out / RESULTS_FILE}: {self._why_no_plot(rows)}"
            )

    def _why_no_plot(self, rows: Sequence[Mapping[str, str]]) -> str:
        """Why no plot can be drawn of these rows."""
        sweeps = [sweep.name for sweep in self.study.sweeps]
        if not any(sweep.plots for sweep in self.study.sweeps):
            return "the study has no plots; give it some, such as plots: [{x: world.load, y: delay_slots}]"
        if not any(row["sweep"] in sweeps for row in rows):
            found = ", ".join(sorted({row["sweep"] for row in rows})) or "none"
            fix = "run the study without --plots-only, which takes over the rows of equal cells"
            return f"it has rows of {found}, none of {', '.join(sweeps)}: the study was renamed; {fix}"
        return "no row that a plot shows has succeeded; run the study without --plots-only"

    def _take(self, result: CellResult, watch: StudyProgress, *, keep_runs: bool) -> list[str]:
        cell, summary, reason, last = result
        if not last:
            watch.warn(f"{cell.title}: {reason}; trying again")
            return []
        if summary is None:
            reason = reason if cell.trained_by and not self._is_trained(cell) else f"{reason}, twice"
            self.results.failed(cell, reason)
        else:
            reason = summary["reason"] if summary["state"] != "SUCCEEDED" else self._keep_weights(cell)
            if reason and summary["state"] == "SUCCEEDED":
                self.results.failed(cell, reason)
            else:
                self._curves.add(cell.digest, evaluations(summary))  # first: a cell that has a row is not run again
                if self._windows is not None:
                    self._windows.add(cell.digest, windows(RunFolder.open(self._run_of(cell))))
                self.results.done(cell, summary)
            if not keep_runs:
                shutil.rmtree(self._run_of(cell))
        if reason:
            watch.warn(f"{cell.title} failed: {reason}")
        watch.done(cell.title, None if reason or summary is None else summary["wall_s"])
        return [cell.title] if reason else []

    def _with_windows(self, missing: list[StudyCell]) -> list[StudyCell]:
        """Also the runs that were done before a plot of the study was of their windows."""
        if self._windows is None:
            return missing
        lacking = {cell.digest: cell for cell in self.cells if not self._windows.of(cell.digest)}
        return list(({cell.digest: cell for cell in missing} | lacking).values())

    def _with_training(self, missing: list[StudyCell]) -> list[StudyCell]:
        """Also the runs that were done before, but whose weights are needed and gone."""
        wanted = {cell.trained_by for cell in missing if cell.trained_by and not self._is_trained(cell)}
        wanted -= {cell.digest for cell in missing}
        again = {cell.digest: cell for cell in self.cells if cell.digest in wanted}
        return [*again.values(), *missing]

    def _is_trained(self, cell: StudyCell) -> bool:
        file = self._weights_of(cell)
        return file is not None and file.exists()

    def _weights_of(self, cell: StudyCell) -> Path | None:
        return self.out / WEIGHTS_FOLDER / f"{cell.trained_by}{WEIGHTS_SUFFIX}" if cell.trained_by else None

    def _keep_weights(self, trained: StudyCell) -> str:
        """Keep what a run has learnt, for the runs that start from it, now or in a later study. The reason why not, if
        it has learnt nothing; empty also for a run from which none starts."""
        if all(other.trained_by != trained.digest for other in self.cells):
            return ""
        try:
            weights = read_start_weights(f"{self._run_of(trained)}/", out=self.out)
        except ConfigError as error:
            return f"it leaves no weights: {error}"
        (self.out / WEIGHTS_FOLDER).mkdir(exist_ok=True)
        replace_file(self.out / WEIGHTS_FOLDER / f"{trained.digest}{WEIGHTS_SUFFIX}", weights.file)
        return ""

    def _run_of(self, cell: StudyCell) -> Path:
        name = re.sub(r"[^\w.=-]+", "_", cell.title)[:_MAX_FOLDER_CHARS]
        return self.out / _CELL_RUNS / f"{name}-{cell.digest}"


def label_of(folder: StudyFolder) -> study_plots.Labels:
    """Names a study's numbers with their units."""
    return study_plots.Labels(folder.cells[0].run.config, units_of(folder.cells))


def shown_numbers(folder: StudyFolder) -> dict[str, list[str]]:
    """The numbers of each sweep that matter most: those that its plots draw, or else the study's metrics; and the tolls
    of all kinds of notes."""
    drawn = {sweep.name: list(dict.fromkeys(plot.y for plot in sweep.plots)) for sweep in folder.study.sweeps}
    return {name: list(dict.fromkeys([*(ys or folder.metrics), *TOTALS])) for name, ys in drawn.items()}


def work_of(cell: StudyCell) -> Work:
    """What a cell is expected to cost, from its run's configuration."""
    plan = cell.run.plan
    slots = sum(phase.slots for phase in plan.phases)
    point = f"{cell.sweep}: {', '.join(cell.labels.values())}"
    return Work(plan.scheme, point, slots * plan.replicas)


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Create the folder and lock it: one study at a time. ConfigError for a second."""
    try:
        out.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(out, os.O_RDONLY)
    except OSError as error:
        raise ConfigError(f"out: {out} cannot be created: {error.strerror}; give another folder") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise ConfigError(f"out: another study is running in {out}; wait for it, or give another folder") from error
    finally:
        os.close(descriptor)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not any(folder.iterdir()):
        folder.rmdir()
