"""Prints what a run's folder contains: the report at the end of a run, its toll, the verdict on two traces."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from airtoll.analysis.baselines import comparison
from airtoll.analysis.diff import compare
from airtoll.cli import output, tables
from airtoll.cli.exit_codes import FAILED
from airtoll.cli.output import Format
from controller.config.schedule import completed_slots
from controller.run_folder.reader import RunFolder

FolderArgument = Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")]


def print_report(folder: RunFolder, summary: dict[str, Any]) -> None:
    """Metrics (against the baselines, if there are any), toll, warnings and, last, the folder's path."""
    compared = summary["comparison"]
    output.print_tables(
        comparison(compared) if compared else tables.metrics(summary, folder.meta.units),
        *([tables.percentiles(summary, distributed)] if (distributed := folder.meta.distribution_units) else []),
        *toll_tables(folder, summary["toll"], summary["toll_by_phase"], summary.get("signalling", {})),
    )
    if line := tables.weights(folder.scalars()):
        typer.echo(line)
    for warning in summary["warnings"]:
        typer.echo(f"warning: {warning}")
    if summary["paced"]:
        output.print_tables(tables.missed_turns(summary["paced"]))
        typer.echo(tables.paced(summary["paced"]))
    if summary["wire"]:
        typer.echo(tables.wire(summary["wire"]))
    typer.echo(str(folder.path))


def toll_tables(
    folder: RunFolder, tolls: tables.Tolls, by_phase: Mapping[str, tables.Tolls], delivery: Mapping[str, Any]
) -> list[Table]:
    """The toll by kind, training and execution apart where there is training; then delivery under the signalling
    model, if it is not ideal."""
    about, schedule = rate_basis(folder), folder.meta.schedule
    impaired = [tables.delivery(delivery)] if delivery else []
    if any(phase.name == "train" for phase in schedule):
        return [*tables.toll_of_learning(by_phase, schedule=schedule, **about), *impaired]
    return [tables.toll(tolls, by="kind", **about), *impaired]


def rate_basis(folder: RunFolder, phase: str | None = None) -> dict[str, Any]:
    """The agents and slots that rates are divided by: all slots or those of a phase, 0 for a run that was killed; and
    the replicas.

    Probes are counted for all phases together."""
    meta = folder.meta
    slots = meta.slots or 0
    if phase is not None:
        slots = completed_slots(meta.schedule, slots, of=[phase])
        return {"slots": slots, "agents": meta.agents, "replicas": meta.replicas}
    return {"slots": slots, "agents": meta.agents, "replicas": meta.replicas, "probes": meta.probes}


def print_verdict(a: RunFolder, b: RunFolder, as_format: Format, *, replayed_in: Path | None = None) -> None:
    """Whether the traces are equal; exits with FAILED if they are not."""
    if replayed_in is not None and as_format is Format.TEXT:
        typer.echo(f"replayed in {replayed_in}")
    with output.damage_reported():
        verdict = compare(a, b)
    replayed = {} if replayed_in is None else {"replayed_in": str(replayed_in)}
    data = {"equal": verdict.equal, "lines": verdict.lines} | replayed
    output.print_result(data, as_format, lambda: typer.echo("\n".join(verdict.lines)))
    if not verdict.equal:
        raise typer.Exit(FAILED)
