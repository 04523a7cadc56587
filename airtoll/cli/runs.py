"""Runs on this machine: `airtoll run`, `resume`, `replay` and `node`."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain, count
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from airtoll.cli import controller_runs, output
from airtoll.cli.exit_codes import FAILED, INTERRUPTED
from airtoll.cli.output import Format, FormatOption
from airtoll.cli.progress import run_progress
from airtoll.cli.report import FolderArgument, print_report, print_verdict
from controller.config import layers
from controller.config.errors import ConfigError
from controller.config.resolved import ResolvedRun, load
from controller.config.run_config import Placement
from controller.execution.run import BaselineNumber, check_placement, checkpoint_to_resume, reopen, run_baselines
from controller.execution.run import run as execute
from controller.run_folder.checkpoints import StoredCheckpoint
from controller.run_folder.reader import RunFolder
from controller.run_folder.status import State
from controller.run_folder.writer import RunWriter
from protocol.messages.plan import PastEvent
from protocol.messages.telemetry import Sink
from protocol.transports.keys import Keys

app = typer.Typer()

OutOption = Annotated[
    Path | None, typer.Option("--out", metavar="DIR", help="Write the run here: a new or empty folder.")
]


@app.command()
def run(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The run's YAML file.")],
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting of FILE; repeatable.")
    ] = None,
    placement: Annotated[
        Placement | None, typer.Option(help="Where the nodes run; for pool use `airtoll submit`.")
    ] = None,
    checkpoint_every: Annotated[
        int | None, typer.Option(metavar="SLOTS", help="Write a checkpoint every SLOTS slots.")
    ] = None,
    out: OutOption = None,
    as_format: FormatOption = Format.TEXT,
) -> None:
    """Start a run and follow it until it ends.

    Progress goes to stderr; metrics, toll and the path of the run's folder go to stdout.
    """
    given = [*(sets or []), *([f"placement={placement}"] if placement else [])]
    given += [] if checkpoint_every is None else [f"checkpoint_every={checkpoint_every}"]
    overrides = [layers.from_assignment(text) for text in given]
    resolved = load(file, environment=os.environ, overrides=overrides)
    check_placement(resolved)
    writer = RunWriter.create(resolved, at=out, command=sys.argv)
    _finish(resolved, writer.folder, _execute(resolved, writer), as_format)


@app.command()
def resume(
    folder: Annotated[Path, typer.Argument(metavar="DIR|ID", help="A run's folder, or the id of a controller's run.")],
    slot: Annotated[
        int | None, typer.Option("--from", metavar="SLOT", help="Continue from this checkpoint; default: the newest.")
    ] = None,
    as_format: FormatOption = Format.TEXT,
) -> None:
    """Continue a run from a checkpoint, or a controller's run after a pause.

    A run in a folder continues from its newest undamaged checkpoint; the slots after it are run again. If no such
    folder exists, the argument is the id of a controller's run.
    """
    if not folder.exists() and len(folder.parts) == 1 and slot is None:
        output.notice(f"no folder {folder} here: asking the controller for the run of this id")
        controller_runs.resume(str(folder), as_format)
        return
    with output.damage_reported():
        resolved, writer = reopen(folder)
        check_placement(resolved)
        checkpoint = checkpoint_to_resume(writer.folder, at=slot, warn=output.notice)
    output.notice(f"resuming at slot {checkpoint.slot}")
    _finish(resolved, writer.folder, _execute(resolved, writer, checkpoint=checkpoint), as_format)


@app.command()
def replay(folder: FolderArgument, out: OutOption = None, as_format: FormatOption = Format.TEXT) -> None:
    """Repeat a run in one process and compare the traces.

    Losses, rejoins and uploaded weights happen at the same slots again.
    """
    past = RunFolder.open(folder)
    if past.meta.slot_ms is not None:
        raise ConfigError(
            f"{folder} is a paced run: which node missed which turn depended on wall time, which cannot be repeated; "
            f"run it in lockstep instead: airtoll run {folder}/config.yaml --set clock.slot_ms=null"
        )
    overrides = [layers.from_assignment(text) for text in ("placement=in-process", "checkpoint_every=0")]
    resolved = load(past.config_file, overrides=overrides)
    with output.damage_reported():
        events = past.past()
    again = RunWriter.create(resolved, at=out or _next_free(folder / "replay"), command=sys.argv)
    summary = _execute(resolved, again, replay=events)
    print_verdict(past, again.folder, as_format, replayed_in=again.path)
    if summary["state"] != past.meta.state.value:  # a failed run is repeated faithfully when it fails again
        _exit_unless_succeeded(summary)


@app.command()
def node(
    folder: FolderArgument,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The node's name, such as pair-3.")],
    key_folder: Annotated[
        Path | None, typer.Option("--keys", metavar="DIR", help="The node's keys, if the run is encrypted.")
    ] = None,
) -> None:
    """Start a lost node again, so that it rejoins its run."""
    from agent_node.edge import run_node
    from controller.execution.building import policy_builder

    with output.damage_reported():
        meta = RunFolder.open(folder).meta
    if meta.state not in (State.RUNNING, State.PAUSED) or not meta.endpoint:
        raise ConfigError(f"{folder}: no node can join a run that is {meta.state.value} or runs in one process")
    own = None if key_folder is None else Keys.read(key_folder).client()
    raise typer.Exit(run_node(meta.endpoint, meta.run_id, name, policy_builder(name), keys=own))


def _execute(
    resolved: ResolvedRun,
    writer: RunWriter,
    *,
    replay: tuple[PastEvent, ...] | None = None,
    checkpoint: StoredCheckpoint | None = None,
) -> dict[str, Any]:
    """Execute the run with its progress on stderr; its summary."""
    with (
        _interruption_reported(f"the results so far are in {writer.path}"),
        run_progress(Console(stderr=True), resolved.config.schedule) as progress,
    ):
        return execute(resolved, writer, progress, replay=replay, checkpoint=checkpoint)


def _finish(resolved: ResolvedRun, folder: RunFolder, summary: dict[str, Any], as_format: Format) -> None:
    """What `run` and `resume` do after the run itself: its baselines, the report, the exit code."""
    baselines: dict[str, Any] = {}
    if resolved.baselines and summary["state"] == "SUCCEEDED":
        with _interruption_reported(f"the run itself is complete, in {folder.path}"):
            baselines = run_baselines(resolved, folder, watch=partial(_baseline_progress, resolved))
        summary = folder.summary
    if as_format is Format.JSON:
        output.print_json(summary | ({"baselines": baselines} if baselines else {}))
    else:
        print_report(folder, summary)
    _exit_unless_succeeded(summary)


@contextmanager
def _baseline_progress(resolved: ResolvedRun, baseline: BaselineNumber) -> Iterator[Sink]:
    """The progress of a baseline on stderr, after a line with its number and name."""
    output.notice(str(baseline))
    with run_progress(Console(stderr=True), resolved.config.schedule) as progress:
        yield progress


@contextmanager
def _interruption_reported(rest: str) -> Iterator[None]:
    try:
        yield
    except KeyboardInterrupt:
        output.notice(f"interrupted; {rest}")
        raise typer.Exit(INTERRUPTED) from None


def _exit_unless_succeeded(summary: dict[str, Any]) -> None:
    if summary["state"] != "SUCCEEDED":
        output.notice(f"the run is {summary['state']}: {summary['reason']}")
        raise typer.Exit(FAILED)


def _next_free(path: Path) -> Path:
    """replay, replay-2, replay-3 ...: the first that does not exist."""
    later = (path.with_name(f"{path.name}-{n}") for n in count(2))
    return next(p for p in chain([path], later) if not p.exists())
