"""What people type. Exit codes: 0 done, 1 the run failed or traces differ, 2 bad usage, 130 interrupted."""

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from enum import Enum
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from typer.core import TyperGroup

from airtoll import __version__
from airtoll.analysis.absences import absences
from airtoll.analysis.baselines import comparison
from airtoll.analysis.diff import compare
from airtoll.analysis.frames import frames_of
from airtoll.analysis.study import StudyFolder
from airtoll.cli import INTERRUPTED, keys, overview, tables, workers
from airtoll.cli.progress import watching
from airtoll.cli.remote import AsFormat, Format, register, resume_run
from airtoll.cli.study_progress import watching as watching_cells
from airtoll.plots.run_plots import Plot, save, sensible
from controller.config import catalogue, layers
from controller.config.errors import ConfigError
from controller.config.run_config import RunConfig, load
from controller.config.schedule import played, spans
from controller.execution.run import check_placement, checkpoint_to_resume, run_baselines
from controller.execution.run import run as execute
from controller.run_folder.checkpoints import Checkpoint
from controller.run_folder.folder import NotARunError, RunFolder
from controller.run_folder.toll import TollKey, summarised_delivery
from protocol.accounting.toll import Toll
from protocol.messages.choreography import Phase
from protocol.messages.plan import PastEvent
from protocol.transports.keys import Keys, KeysError

_FAILED, _USAGE = 1, 2
_OWN_WORDS = {"allow_extra_args": True, "ignore_unknown_options": True}  # of the workers' commands
_PAGE_WIDTH = 110  # of tables that go to a file or a pipe


class Place(Enum):
    """Where the nodes live."""

    PROCESSES = "processes"
    IN_PROCESS = "in-process"


class _Commands(TyperGroup):
    """Commands whose users get one message where there is no run to speak of."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except (ConfigError, KeysError, NotARunError) as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(_USAGE) from error


app = typer.Typer(cls=_Commands, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A run's folder.")]
Out = Annotated[Path | None, typer.Option("--out", metavar="DIR", help="The run's folder itself: new or empty.")]


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"airtoll {__version__}")
        raise typer.Exit()


@app.callback()
def airtoll(
    version: Annotated[bool, typer.Option("--version", callback=_print_version, is_eager=True)] = False,
) -> None:
    """An emulated radio network whose nodes learn, with every byte they tell each other measured."""


@app.command()
def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The run's YAML file.")],
    sets: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Wins over the file.")] = None,
    placement: Annotated[Place | None, typer.Option(help="Where the nodes live.")] = None,
    checkpoint_every: Annotated[int | None, typer.Option(metavar="SLOTS", help="Write checkpoints.")] = None,
    out: Out = None,
    as_format: AsFormat = Format.TEXT,
) -> None:
    """Carry out a run: progress, the radio's results, the toll, the folder's path."""
    given = [*(sets or []), *([f"placement={placement.value}"] if placement else [])]
    given += [] if checkpoint_every is None else [f"checkpoint_every={checkpoint_every}"]
    overrides = [layers.from_assignment(text) for text in given]
    config = load(file, environment=os.environ, overrides=overrides)
    check_placement(config)
    folder = RunFolder.create(config, at=out, command=sys.argv)
    _finish(config, folder, _watched(config, folder), as_format)


@app.command()
def resume(
    folder: Annotated[Path, typer.Argument(metavar="DIR|ID", help="A run's folder, or the id of a controller's run.")],
    slot: Annotated[
        int | None, typer.Option("--from", metavar="SLOT", help="Of an older checkpoint; the newest otherwise.")
    ] = None,
    as_format: AsFormat = Format.TEXT,
) -> None:
    """Go on with a run that was cut off, from its newest checkpoint that is whole; what came after is played again.

    What is no folder is a controller's run, which goes on after a pause.
    """
    if not folder.exists() and len(folder.parts) == 1 and slot is None:
        typer.echo(f"no folder {folder} here: asking the controller for the run of this id", err=True)
        resume_run(str(folder), as_format)
        return
    with _damage_reported():
        past = RunFolder.reopen(folder)
        check_placement(past.config)
        checkpoint = checkpoint_to_resume(past, at=slot, told=partial(typer.echo, err=True))
    typer.echo(f"resuming at slot {checkpoint.slot}", err=True)
    _finish(past.config, past, _watched(past.config, past, checkpoint=checkpoint), as_format)


def _finish(config: RunConfig, folder: RunFolder, summary: dict[str, Any], as_format: Format) -> None:
    """What `run` and `resume` do when the run itself is over."""
    others = _beside(config, folder) if summary["state"] == "SUCCEEDED" else {}
    if as_format is Format.JSON:
        _print_json(summary | ({"baselines": others} if others else {}))
    else:
        _print_results(folder, summary, others)
    _exit_with(summary)


@app.command()
def replay(folder: Folder, out: Out = None, as_format: AsFormat = Format.TEXT) -> None:
    """Run a folder's run again in one process, with its losses and rejoins, and compare the traces."""
    past = RunFolder.open(folder)
    if past.config.clock.slot_ms is not None:
        raise ConfigError(
            f"{folder} is a paced run: who missed which turn followed from wall time, and cannot be had again; "
            f"what replays is a run in lockstep: airtoll run {folder}/config.yaml --set clock.slot_ms=null"
        )
    alone = [layers.from_assignment(text) for text in ("placement=in-process", "checkpoint_every=0")]
    config = load(folder / "config.yaml", overrides=alone)
    with _damage_reported():
        events = past.past()
    again = RunFolder.create(config, at=out or _next_free(folder / "replay"), command=sys.argv)
    _exit_with_unless_same(past, again, _watched(config, again, replay=events), as_format)


@app.command()
def node(
    folder: Folder,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The node's name, such as pair-3.")],
    key_folder: Annotated[Path | None, typer.Option("--keys", metavar="DIR", help="Of a run that has keys.")] = None,
) -> None:
    """Take a place in a run that goes on: a node that was lost rejoins."""
    from agent_node.edge import run_node
    from controller.execution.building import policy_builder

    with _damage_reported():
        meta = RunFolder.open(folder).meta
    if meta["state"] not in ("RUNNING", "PAUSED") or "endpoint" not in meta:
        raise ConfigError(f"{folder}: no node can join a run that is {meta['state']} or lives in one process")
    own = None if key_folder is None else Keys.read(key_folder).client()
    raise typer.Exit(run_node(meta["endpoint"], meta["run_id"], name, policy_builder(name), keys=own))


@app.command()
def diff(
    a: Annotated[Path, typer.Argument(metavar="A", help="A run's folder.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another run's folder.")],
    as_format: AsFormat = Format.TEXT,
) -> None:
    """Compare two runs bit for bit; name slot, turn, node and field where they part."""
    _print_verdict(RunFolder.open(a), RunFolder.open(b), as_format)


@app.command()
def toll(
    folder: Folder,
    by: Annotated[TollKey, typer.Option(help="Sum per kind of note, per sending node, or per link class.")] = "kind",
    phase: Annotated[Phase | None, typer.Option(help="Only the notes sent in this phase.")] = None,
    as_format: AsFormat = Format.TEXT,
) -> None:
    """Print the signalling overhead: the notes that the nodes sent, and what they cost."""
    past = RunFolder.open(folder)
    with _damage_reported():
        table, phases = past.toll, None if phase is None else [phase]
        tolls = _as_data(table.by(by, phases))
        stats = {} if past.config.signalling.ideal else summarised_delivery(table.delivery(by, phases))
    if as_format is Format.JSON:
        _print_json({name: toll | stats.get(name, {}) for name, toll in tolls.items()})
    elif phase is not None:
        _print(tables.toll(tolls, by=by, title=f"toll of {phase}", **_about(past, phase)))
    elif by == "kind":
        by_phase = {span.phase: _as_data(table.by(by, [span.phase])) for span in spans(past.config.schedule)}
        _print(*_toll_tables(past, tolls, by_phase, stats))
    else:
        _print(tables.toll(tolls, by=by, **_about(past)))


@app.command()
def plot(
    folder: Folder,
    curves: Annotated[bool, typer.Option("--curves", help="Metrics and losses against slots.")] = False,
    as_map: Annotated[bool, typer.Option("--map", help="The cell or graph with the last slot's actions.")] = False,
    toll_chart: Annotated[bool, typer.Option("--toll", help="Bytes told over time and by node.")] = False,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Where a single plot goes.")] = None,
    as_format: AsFormat = Format.TEXT,
) -> None:
    """Draw the run: one PNG per plot in DIR/plots; without a flag all that make sense."""
    past, flags = RunFolder.open(folder), {Plot.CURVES: curves, Plot.MAP: as_map, Plot.TOLL: toll_chart}
    with _damage_reported():
        paths = save(past, [name for name, asked in flags.items() if asked] or sensible(past), out)
        _print_paths(map(str, paths), as_format)


@app.command()
def study(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The study's YAML file.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Results and pictures; default: runs/ and FILE's name.")
    ] = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Runs at a time; default: one per core.")] = None,
    keep_runs: Annotated[bool, typer.Option("--keep-runs", help="Keep the cells' folders, in DIR/runs.")] = False,
    plots_only: Annotated[bool, typer.Option("--plots-only", help="Draw what DIR has, run nothing.")] = False,
    as_format: AsFormat = Format.TEXT,
) -> None:
    """Carry out a grid of runs: one table, and pictures. The same again goes on where it stopped."""
    folder, failed = StudyFolder(file, out or Path("runs") / file.stem, dict(os.environ)), list[str]()
    if not plots_only:
        failed = _carried_out(folder, workers or len(os.sched_getaffinity(0)), keep_runs=keep_runs)
    results = [] if plots_only else [folder.results.path]
    _print_paths(map(str, chain(results, folder.draw())), as_format)
    if failed:
        typer.echo(f"{len(failed)} of {len(folder.cells)} cells failed, the first: {failed[0]}", err=True)
        raise typer.Exit(_FAILED)


@app.command()
def frames(
    folder: Folder,
    limit: Annotated[int | None, typer.Option(min=1, help="Only so many, from the first.")] = None,
    as_format: AsFormat = Format.TEXT,
) -> None:
    """The recorded frames, decoded and named."""
    RunFolder.open(folder)
    with _damage_reported():
        kept = list(frames_of(folder))[:limit]
    if as_format is Format.JSON:
        _print_json([{"way": f.way, "peer": f.peer, "hex": _hex(f.data), "message": f.message} for f in kept])
    else:
        for frame in kept:
            typer.echo(str(frame))


@app.command()
def worlds(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]")] = None, as_format: AsFormat = Format.TEXT
) -> None:
    """The worlds there are, or all parameters of one."""
    chosen = catalogue.worlds() if name is None else {name: catalogue.world_named(name)}
    if as_format is Format.JSON:
        _print_json({n: overview.as_data(w) | {"parameters": overview.parameters(w)} for n, w in chosen.items()})
    elif name is None:
        _print(overview.world_list(chosen))
    else:
        _print(overview.world_list(chosen), overview.params_table(chosen[name]))


@app.command()
def schemes(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]")] = None, as_format: AsFormat = Format.TEXT
) -> None:
    """The schemes there are, or the whole card of one."""
    chosen = catalogue.schemes() if name is None else {name: catalogue.scheme_named(name)}
    if as_format is Format.JSON:
        _print_json({n: overview.as_data(s.card) | {"parameters": overview.parameters(s)} for n, s in chosen.items()})
    elif name is None:
        _print(overview.scheme_list(chosen))
    else:
        _print(overview.card_table(chosen[name].card), overview.params_table(chosen[name]))


register(app)
app.add_typer(keys.app, name="keys")


@app.command(help=workers.ABOUT["agent"], context_settings=_OWN_WORDS, add_help_option=False)
def agent(ctx: typer.Context) -> None:
    raise typer.Exit(workers.main(["agent", *ctx.args]))


@app.command(help=workers.ABOUT["channel"], context_settings=_OWN_WORDS, add_help_option=False)
def channel(ctx: typer.Context) -> None:
    raise typer.Exit(workers.main(["channel", *ctx.args]))


def _watched(
    config: RunConfig,
    folder: RunFolder,
    *,
    replay: tuple[PastEvent, ...] | None = None,
    checkpoint: Checkpoint | None = None,
) -> dict[str, Any]:
    """Carry the run out with its progress on stderr."""
    try:
        with watching(Console(stderr=True), config.schedule) as watch:
            return execute(config, folder, watch, replay=replay, checkpoint=checkpoint)
    except KeyboardInterrupt:
        typer.echo(f"interrupted; what there is lies in {folder.path}", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _carried_out(folder: StudyFolder, workers: int, *, keep_runs: bool) -> list[str]:
    """The study's missing cells carried out, with their progress on stderr; those that failed."""
    typer.echo(f"{folder.told}, {workers} at a time", err=True)
    try:
        with watching_cells(Console(stderr=True), len(folder.missing)) as watch:
            return folder.run(watch, workers=workers, keep_runs=keep_runs)
    except KeyboardInterrupt:
        typer.echo(f"interrupted; {folder.results.path} has what was done: the same command goes on", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _next_free(path: Path) -> Path:
    """replay, replay-2, replay-3 ...: the first that is not there."""
    later = (path.with_name(f"{path.name}-{n}") for n in count(2))
    return next(p for p in chain([path], later) if not p.exists())


def _exit_with(summary: dict[str, Any]) -> None:
    if summary["state"] != "SUCCEEDED":
        typer.echo(f"the run is {summary['state']}: {summary['reason']}", err=True)
        raise typer.Exit(_FAILED)


def _exit_with_unless_same(past: RunFolder, again: RunFolder, summary: dict[str, Any], as_format: Format) -> None:
    """A run that failed is replayed well when it fails again in the same way."""
    _print_verdict(past, again, as_format, replayed_in=again.path)
    if summary["state"] != past.meta["state"]:
        _exit_with(summary)


def _print_verdict(a: RunFolder, b: RunFolder, as_format: Format, *, replayed_in: Path | None = None) -> None:
    if replayed_in is not None and as_format is Format.TEXT:
        typer.echo(f"replayed in {replayed_in}")
    with _damage_reported():
        verdict = compare(a, b)
    if as_format is Format.JSON:
        replayed = {} if replayed_in is None else {"replayed_in": str(replayed_in)}
        _print_json({"equal": verdict.equal, "lines": verdict.lines} | replayed)
    else:
        for line in verdict.lines:
            typer.echo(line)
    if not verdict.equal:
        raise typer.Exit(_FAILED)


def _beside(config: RunConfig, folder: RunFolder) -> dict[str, Any]:
    """The runs to compare with, carried out."""
    if not config.baselines:
        return {}
    typer.echo(f"beside: {', '.join(config.others)}", err=True)
    try:
        return run_baselines(config, folder)
    except KeyboardInterrupt:
        typer.echo(f"interrupted; the run itself is whole, in {folder.path}", err=True)
        raise typer.Exit(INTERRUPTED) from None


def _print_results(folder: RunFolder, summary: dict[str, Any], others: dict[str, Any]) -> None:
    tolls = _toll_tables(folder, summary["toll"], summary["toll_by_phase"], summary.get("signalling", {}))
    config = folder.config
    evaluated = played(config.schedule, summary["slots"], of=("eval",)) * config.agents
    radio = comparison(summary, others, node_slots=evaluated) if others else tables.radio(summary, config.units)
    _print(radio, *tolls)
    if line := tables.weights(folder.scalars()):
        typer.echo(line)
    for line in absences(folder.events(), summary["slots"]):
        typer.echo(line)
    if summary["paced"]:
        _print(tables.missed_turns(summary["paced"]))
        typer.echo(tables.paced(summary["paced"]))
    if summary["wire"]:
        typer.echo(tables.wire(summary["wire"]))
    typer.echo(str(folder.path))


def _toll_tables(
    folder: RunFolder, tolls: tables.Tolls, by_phase: Mapping[str, tables.Tolls], stats: Mapping[str, Any]
) -> list[Table]:
    """The toll by kind, training and execution apart where there is training; what a signalling model did to it."""
    about, schedule = _about(folder), folder.config.schedule
    impaired = [tables.delivery(stats)] if stats else []
    if any(phase.name == "train" for phase in schedule):
        return [*tables.toll_of_learning(by_phase, schedule=schedule, **about), *impaired]
    return [tables.toll(tolls, by="kind", **about), *impaired]


def _about(folder: RunFolder, phase: str | None = None) -> dict[str, Any]:
    """What rates are taken over: all slots or those of a phase; 0 slots for a run that was killed. Probes are counted
    for all phases together."""
    meta = folder.meta
    slots = meta.get("slots", 0)
    if phase is not None:
        return {"slots": played(folder.config.schedule, slots, of=[phase]), "agents": meta["agents"]}
    return {"slots": slots, "agents": meta["agents"], "probes": meta.get("probes", 0)}


def _as_data(tolls: Mapping[str, Toll]) -> dict[str, dict[str, int]]:
    return {name: msgspec.structs.asdict(told) for name, told in tolls.items()}


@contextmanager
def _damage_reported() -> Iterator[None]:
    """A file that cannot be read is told, not traced back."""
    try:
        yield
    except ConfigError:
        raise
    except ValueError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(_FAILED) from error


def _print(*parts: Any) -> None:
    console = Console(width=None if sys.stdout.isatty() else _PAGE_WIDTH)  # a file has no width to fit into
    for part in parts:
        console.print(part)


def _print_paths(paths: Iterable[str], as_format: Format) -> None:
    """As they come, or all of them as data."""
    if as_format is Format.JSON:
        _print_json({"files": list(paths)})
        return
    for path in paths:
        typer.echo(path)


def _hex(data: Any) -> str | None:
    """None for what damage has left in a frame's place."""
    return data.hex() if isinstance(data, bytes) else None


def _print_json(data: Any) -> None:
    typer.echo(json.dumps(data, indent=2, allow_nan=False))
