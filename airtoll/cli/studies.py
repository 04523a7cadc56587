"""Grids of runs: `airtoll study`."""

import os
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from airtoll.analysis.study import Export, StudyFolder
from airtoll.cli import output
from airtoll.cli.exit_codes import FAILED, INTERRUPTED
from airtoll.cli.output import Format, FormatOption
from airtoll.cli.study_progress import study_progress
from airtoll.plots import study_plots
from controller.config import layers
from controller.config.file_kinds import require_study
from controller.studies import offline

app = typer.Typer()


@app.command()
def study(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The study's YAML file.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Results and plots; default: runs/ and FILE's name.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Runs at a time; default: one per core.")] = None,
    keep_runs: Annotated[bool, typer.Option("--keep-runs", help="Keep the runs' folders, in DIR/runs.")] = False,
    plots_only: Annotated[bool, typer.Option("--plots-only", help="Draw the results in DIR; run nothing.")] = False,
    export: Annotated[
        Export | None, typer.Option("--export", help="Also write the results in this tool's format, as JSON.")
    ] = None,
    as_format: FormatOption = Format.TEXT,
) -> None:
    """Run a grid of configurations and seeds; write tables and plots.

    A study that was interrupted continues where it stopped when the same command is given again.
    """
    require_study(file, layers.from_file(file).data)
    if offline.is_offline(file):
        _offline(file, out or Path("runs") / file.stem, workers, plots_only=plots_only, as_format=as_format)
        return
    folder, failed = StudyFolder(file, out or Path("runs") / file.stem, dict(os.environ)), list[str]()
    if not plots_only:
        failed = _run_missing(folder, workers or len(os.sched_getaffinity(0)), keep_runs=keep_runs)
    results = [] if plots_only else [folder.results.path, write_aggregates(folder)]
    results += [] if export is None else [folder.export(export)]
    output.print_paths(map(str, chain(results, folder.draw(required=plots_only))), as_format)
    if failed:
        output.notice(f"{len(failed)} of {len(folder.cells)} cells failed, the first: {failed[0]}")
        raise typer.Exit(FAILED)


def _offline(file: Path, out: Path, workers: int | None, *, plots_only: bool, as_format: Format) -> None:
    """Run and draw a study without slots."""
    parsed = offline.read(file)
    results = out / offline.RESULTS_FILE
    if not plots_only:
        output.notice(f"{parsed.study.name}: {len(parsed.cells)} cells")
        with study_progress(Console(stderr=True), len(parsed.cells)) as progress:
            for cell in offline.run(parsed, out, workers=workers or len(os.sched_getaffinity(0))):
                progress.done(", ".join([*(f"{k}={v}" for k, v in cell.labels.items()), f"seed={cell.seed}"]))
    drawn = study_plots.save_offline(parsed, offline.read_rows(results), out)
    output.print_paths(map(str, chain([] if plots_only else [results], drawn)), as_format)


def write_aggregates(folder: StudyFolder) -> Path:
    """Write aggregates.csv, with a line on stderr for what it leaves out."""
    path, remarks = folder.aggregate()
    for remark in remarks:
        output.notice(f"{path.name}: {remark}")
    return path


def _run_missing(folder: StudyFolder, workers: int, *, keep_runs: bool) -> list[str]:
    """Run the study's missing cells, with progress on stderr; the titles of those that failed."""
    output.notice(f"{folder.overview}, {workers} at a time")
    try:
        with study_progress(Console(stderr=True), len(folder.missing)) as progress:
            return folder.run(progress, workers=workers, keep_runs=keep_runs)
    except KeyboardInterrupt:
        output.notice(f"interrupted; the results so far are in {folder.results.path}: the same command continues")
        raise typer.Exit(INTERRUPTED) from None
