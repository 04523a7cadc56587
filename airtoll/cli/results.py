"""Results in a run's folder: `airtoll toll`, `plot`, `diff` and `frames`."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer

from airtoll.analysis.decoded_frames import DecodedFrame, decoded
from airtoll.analysis.frames import frames_of
from airtoll.cli import output, tables
from airtoll.cli.output import Format, FormatOption
from airtoll.cli.report import FolderArgument, print_verdict, rate_basis, toll_tables
from airtoll.plots.run_plots import RunPlot, plots_with_data, save
from controller.config.errors import ConfigError, unknown
from controller.config.schedule import spans
from controller.run_folder.reader import RunFolder
from controller.run_folder.toll import TollKey
from protocol.accounting.toll import Toll
from protocol.messages.choreography import Phase
from protocol.messages.kinds import Kind

app = typer.Typer()


@app.command()
def diff(
    a: Annotated[Path, typer.Argument(metavar="A", help="A run's folder.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another run's folder.")],
    as_format: FormatOption = Format.TEXT,
) -> None:
    """Compare two runs bit for bit.

    Names the slot, turn, node and field in which the traces differ first. Exits with 1 if they differ.
    """
    print_verdict(RunFolder.open(a), RunFolder.open(b), as_format)


@app.command()
def toll(
    folder: FolderArgument,
    by: Annotated[TollKey, typer.Option(help="Sum per kind of note, per sending node or per link class.")] = "kind",
    phase: Annotated[Phase | None, typer.Option(help="Count only the notes sent in this phase.")] = None,
    as_format: FormatOption = Format.TEXT,
) -> None:
    """Show the signalling overhead of a run.

    Counts the notes that nodes sent each other over the air, in bytes and payload bits.
    """
    past = RunFolder.open(folder)
    with output.damage_reported():
        table, phases = past.toll, None if phase is None else [phase]
        tolls = _as_data(table.by(by, phases))
        delivery = past.delivery_stats(by, phases)
    if as_format is Format.JSON:
        output.print_json({name: toll | delivery.get(name, {}) for name, toll in tolls.items()})
    elif phase is not None:
        output.print_tables(
            tables.toll(tolls, by=by, title=f"toll of {phase}", **rate_basis(past, phase)), as_format=as_format
        )
    elif by == "kind":
        by_phase = {span.phase: _as_data(table.by(by, [span.phase])) for span in spans(past.meta.schedule)}
        output.print_tables(*toll_tables(past, tolls, by_phase, delivery), as_format=as_format)
    else:
        output.print_tables(tables.toll(tolls, by=by, **rate_basis(past)), as_format=as_format)


@app.command()
def plot(
    folder: FolderArgument,
    curves: Annotated[bool, typer.Option("--curves", help="Metrics and losses over slots.")] = False,
    as_map: Annotated[bool, typer.Option("--map", help="The cell or graph with the last slot's actions.")] = False,
    toll_chart: Annotated[bool, typer.Option("--toll", help="Signalling overhead over time and by node.")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Write a single plot to FILE.")] = None,
    as_format: FormatOption = Format.TEXT,
) -> None:
    """Draw a run's curves, map and toll.

    Writes one PNG per plot to DIR/plots; without a flag, every plot that the run has data for.
    """
    past, flags = RunFolder.open(folder), {RunPlot.CURVES: curves, RunPlot.MAP: as_map, RunPlot.TOLL: toll_chart}
    with output.damage_reported():
        paths = save(past, [name for name, chosen in flags.items() if chosen] or plots_with_data(past), out)
        output.print_paths(map(str, paths), as_format)


@app.command()
def frames(
    folder: FolderArgument,
    limit: Annotated[int | None, typer.Option(min=1, help="Show only the first N.")] = None,
    node: Annotated[str | None, typer.Option(metavar="NAME", help="Of this node, such as pair-0.")] = None,
    slot: Annotated[int | None, typer.Option(min=0, help="Of this slot.")] = None,
    kind: Annotated[str | None, typer.Option(help="With notes of this kind, such as csi.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Every field of the message, bytes as bytes.")] = False,
    as_format: FormatOption = Format.TEXT,
) -> None:
    """Show the recorded frames, decoded.

    Measurements, actions and weights are numbers with their units.
    """
    names = RunFolder.open(folder).names
    if node is not None and node not in names:
        raise ConfigError(f"--node: {unknown('node', node, names)}")
    if kind is not None and kind not in (kinds := [each.name.lower() for each in Kind]):
        raise ConfigError(f"--kind: {unknown('kind of note', kind, kinds)}")
    with output.damage_reported():
        recorded = decoded(frames_of(folder))
        chosen = list(islice((f for f in recorded if _is_chosen(f, node, slot, kind)), limit))
    texts = [f.frame.message if raw else f.message for f in chosen]
    if as_format is Format.JSON:
        shown = zip((f.frame for f in chosen), texts, strict=True)
        output.print_json([{"way": f.way, "peer": f.peer, "hex": _hex(f.data), "message": m} for f, m in shown])
    else:
        for each, text in zip(chosen, texts, strict=True):
            typer.echo(f"{each.frame.way:4} {each.frame.peer}: {text}")


def _is_chosen(frame: DecodedFrame, node: str | None, slot: int | None, kind: str | None) -> bool:
    return (
        (node is None or frame.frame.peer == node)
        and (slot is None or frame.slot == slot)
        and (kind is None or kind in frame.kinds)
    )


def _as_data(tolls: Mapping[str, Toll]) -> dict[str, dict[str, int]]:
    return {name: msgspec.structs.asdict(toll) for name, toll in tolls.items()}


def _hex(data: Any) -> str | None:
    """None where damage left something other than bytes."""
    return data.hex() if isinstance(data, bytes) else None
