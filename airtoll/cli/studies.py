"""Grids of runs: `airtoll study`."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from airtoll.analysis.study import Export, StudyFolder, label_of, shown_numbers
from airtoll.analysis.study_summary import SUMMARY_FILE, Summarised, csv_of, named, summarised
from airtoll.cli import output
from airtoll.cli.exit_codes import FAILED, INTERRUPTED
from airtoll.cli.output import Format, FormatOption
from airtoll.cli.study_progress import Work, study_progress
from airtoll.cli.study_tables import print_study
from airtoll.plots import study_plots
from controller.config import layers
from controller.config.errors import ConfigError, invalid
from controller.config.file_kinds import require_study
from controller.run_folder.files import replace_file
from controller.studies import offline
from controller.studies.slices import Slice
from controller.studies.study_file import compared_to

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
    compare_to: Annotated[
        list[str] | None,
        typer.Option("--compare-to", metavar="AXIS=LABEL", help="Take summary.csv's differences from these cells."),
    ] = None,
    cells: Annotated[
        str | None, typer.Option("--cells", metavar="I/N", help="Run the I-th of N slices of the cells.")
    ] = None,
    merge: Annotated[
        list[Path] | None,
        typer.Option("--merge", metavar="DIR", help="Take the results of a slice's folder; run nothing."),
    ] = None,
    as_format: FormatOption = Format.TEXT,
) -> None:
    """Run a grid of configurations and seeds; write tables and plots.

    A study that was interrupted continues where it stopped when the same command is given again.
    """
    require_study(file, layers.from_file(file).data)
    unused = {"--keep-runs": keep_runs, "--cells": cells is not None}
    _check_options("--plots-only", plots_only, unused | {"--merge": bool(merge)}, "it runs nothing")
    _check_options("--merge", bool(merge), unused, "it runs nothing")
    baseline = None if compare_to is None else dict(map(_baseline, compare_to))
    out = out or Path("runs") / file.stem
    workers = workers or len(os.sched_getaffinity(0))
    summarises = not plots_only or baseline is not None
    if offline.is_offline(file):
        offline_unused = unused | {"--merge": bool(merge), "--export": export is not None}
        _check_options("a study without slots", True, offline_unused, "it has no runs")
        parsed = offline.read(file)
        parsed = replace(parsed, drawn=compared_to(parsed.drawn, baseline))
        if not plots_only:
            _run_offline(parsed, out, workers)
        _print_offline(parsed, out, summarises=summarises, as_format=as_format)
        return
    only = None if cells is None else Slice.parse(cells)
    folder, failed = StudyFolder(file, out, dict(os.environ), compare_to=baseline, only=only), list[str]()
    if merge:
        failed = _merge(folder, merge)
    elif not plots_only:
        failed = _run_missing(folder, workers, keep_runs=keep_runs)
    _print_grid(folder, plots_only=plots_only, summarises=summarises, export=export, as_format=as_format)
    if failed and not merge:
        output.notice(f"{len(failed)} of {len(folder.cells)} cells failed, the first: {failed[0]}")
    if failed:
        raise typer.Exit(FAILED)


def _check_options(given: str, applies: bool, others: Mapping[str, bool], reason: str) -> None:
    """ConfigError for an option that would do nothing next to another one."""
    for name in [name for name, is_given in others.items() if applies and is_given]:
        raise ConfigError(f"{name} does nothing with {given}, since {reason}: leave one of them out")


def _merge(folder: StudyFolder, folders: Sequence[Path]) -> list[str]:
    """Merge slices, with lines on stderr for cells that are missing or twice; the titles of the missing ones."""
    merged = folder.merge(folders)
    output.notice(f"{merged.taken} runs from {len(folders)} folders")
    if merged.twice:
        output.notice(f"{len(merged.twice)} cells are there twice, with equal traces, the first: {merged.twice[0]}")
    missing = [cell.title for cell in folder.results.missing()]
    if missing:
        output.notice(f"{len(missing)} cells are missing, the first: {missing[0]}; without --merge they are run")
    return missing


def _baseline(text: str) -> tuple[str, str]:
    axis, equals, label = text.partition("=")
    if not equals:
        raise ConfigError(invalid("--compare-to", text, "must be AXIS=LABEL, such as scheme=random"))
    return axis, label


def _run_offline(parsed: offline.OfflineFile, out: Path, workers: int) -> None:
    """Run a study without slots, with progress on stderr."""
    output.notice(f"{parsed.study.name}: {len(parsed.cells)} cells")
    titles = {cell.digest: ", ".join([*named(cell.labels).split(", "), f"seed={cell.seed}"]) for cell in parsed.cells}
    works = {titles[cell.digest]: Work(parsed.study.name, named(cell.labels), 1) for cell in parsed.cells}
    with study_progress(Console(stderr=True), works) as progress:
        for cell in offline.run(parsed, out, workers=workers):
            progress.done(titles[cell.digest])


def _print_offline(parsed: offline.OfflineFile, out: Path, *, summarises: bool, as_format: Format) -> None:
    """Summarise and draw the results of a study without slots."""
    rows, study, numbers = offline.read_rows(out / offline.RESULTS_FILE), parsed.drawn, list(parsed.study.numbers)
    made = summarised(study, rows, numbers).rows if summarises else []
    if summarises:
        replace_file(out / SUMMARY_FILE, csv_of(made, study.axes))
    shown = {sweep.name: [plot.y for plot in sweep.plots] or numbers for sweep in study.sweeps}
    tables = [out / offline.RESULTS_FILE, out / SUMMARY_FILE] if summarises else []
    paths = chain(tables, study_plots.save_offline(parsed, rows, out))
    print_study(made, shown, study_plots.offline_label(parsed), paths, as_format)


def _print_grid(
    folder: StudyFolder, *, plots_only: bool, summarises: bool, export: Export | None, as_format: Format
) -> None:
    """Write the tables of a grid of runs, draw its plots, and print what there is."""
    paths = [] if plots_only else [folder.results.path, write_aggregates(folder)]
    rows = list[Summarised]()
    if summarises:
        path, rows = write_summary(folder)
        paths.append(path)
    paths += [] if export is None else [folder.export(export)]
    drawn = folder.draw(required=plots_only)
    print_study(rows, shown_numbers(folder), label_of(folder), chain(paths, drawn), as_format)
    for name in folder.not_drawn:
        output.notice(f"{name} is not drawn: no row that it shows has a result")


def write_aggregates(folder: StudyFolder) -> Path:
    """Write aggregates.csv, with a line on stderr for what it leaves out."""
    path, remarks = folder.aggregate()
    for remark in remarks:
        output.notice(f"{path.name}: {remark}")
    return path


def write_summary(folder: StudyFolder) -> tuple[Path, list[Summarised]]:
    """Write summary.csv, with lines on stderr for what is missing; its path and rows."""
    path, made = folder.summarise()
    for remark in made.remarks:
        output.notice(f"{path.name}: {remark}")
    return path, made.rows


def _run_missing(folder: StudyFolder, workers: int, *, keep_runs: bool) -> list[str]:
    """Run the study's missing cells, with progress on stderr; the titles of those that failed."""
    output.notice(f"{folder.overview}, {workers} at a time")
    try:
        with study_progress(Console(stderr=True), folder.work, folder.known_work) as progress:
            failed = folder.run(progress, workers=workers, keep_runs=keep_runs)
    except KeyboardInterrupt:
        output.notice(f"interrupted; the results so far are in {folder.results.path}: the same command continues")
        raise typer.Exit(INTERRUPTED) from None
    if keep_runs and (without := folder.without_folder):
        fix = "to have them, run the study in another --out"
        output.notice(f"--keep-runs: {len(without)} cells were done before, without a folder: {without[0]}, ...; {fix}")
    return failed
