"""Runs of a controller, over its REST interface: `airtoll submit`, `list`, `show`, `watch`, `pause`, `stop`, ..."""

import json
import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from airtoll.api import connect
from airtoll.cli import controller_tables, output
from airtoll.cli.answer import answer_of, baselines_left, print_answer
from airtoll.cli.exit_codes import FAILED, USAGE
from airtoll.cli.output import Format, FormatOption
from airtoll.client import Controller
from controller.config import layers
from controller.config.file_kinds import require_run
from controller.run_folder.reader import RunFolder

_SETTLED_AFTER_S, _POLL_S = 5.0, 0.1

app = typer.Typer()

RunId = Annotated[str, typer.Argument(metavar="ID", help="The run's id.")]
NodeName = Annotated[str, typer.Argument(metavar="NODE", help="The node's name, such as pair-0.")]


@app.command()
def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The run's YAML file.")],
    sets: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Override a setting of FILE; repeatable.")
    ] = None,
    as_format: FormatOption = Format.TEXT,
) -> None:
    """Put a run into the controller's queue."""
    given = layers.from_file(file)
    require_run(file, given.data)
    for text in sets or []:
        given = given.overridden_by(layers.from_assignment(text))
    run = _controller().submit(given.data)
    output.print_result(run, as_format, lambda: typer.echo(run["id"]))


@app.command("list")
def list_runs(
    state: Annotated[str | None, typer.Option(help="List only runs in this state, such as RUNNING.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="List at most this many.")] = 50,
    as_format: FormatOption = Format.TEXT,
) -> None:
    """List the controller's runs, newest first."""
    answer = _controller().list(state=state, limit=limit)
    output.print_result(
        answer, as_format, lambda: output.print_tables(controller_tables.runs(answer["runs"]), as_format=as_format)
    )


@app.command()
def show(
    run: Annotated[str, typer.Argument(metavar="DIR|ID", help="A run's folder, or the id of a controller's run.")],
    as_format: FormatOption = Format.TEXT,
) -> None:
    """Show a run's state and results.

    Means per phase, the baselines on the same channels, the overhead of training and of execution, and warnings. Of a
    folder it needs no controller; an argument that is no folder is the id of a controller's run.
    """
    if Path(run).exists() or len(Path(run).parts) > 1:
        folder = RunFolder.open(Path(run))
        with output.damage_reported():
            found = answer_of(folder)
        output.print_result(found, as_format, lambda: _print_run(found, found))
        if left := baselines_left(folder, found):
            output.notice(left)
        return
    of_controller = _controller().show(run)
    output.print_result(of_controller, as_format, lambda: _print_run(of_controller, of_controller["answer"]))


def _print_run(run: dict[str, Any], answer: dict[str, Any] | None) -> None:
    """Its state, and its answer if it has one yet."""
    output.print_tables(controller_tables.run(run))
    if answer is not None:
        print_answer(answer)


@app.command()
def watch(run_id: RunId, as_format: FormatOption = Format.TEXT) -> None:
    """Follow a run until it ends.

    The last lines are its answer, as `airtoll show` prints it.
    """
    last: dict[str, Any] = {}
    controller = _controller()
    for event in controller.watch(run_id):
        last |= event
        if as_format is Format.JSON:
            typer.echo(json.dumps(event))  # one line per event
        else:
            for line in controller_tables.event_lines(event):
                typer.echo(line)
    if as_format is Format.TEXT and (answer := controller.show(run_id)["answer"]):
        print_answer(answer)
    if last.get("state") == "FAILED":
        output.notice(f"the run is FAILED: {last['reason']}")
        raise typer.Exit(FAILED)


@app.command()
def stop(run_id: RunId, as_format: FormatOption = Format.TEXT) -> None:
    """Stop a run after its current slot."""
    _print_state(_once_not("STOPPING", _controller().stop(run_id)), as_format)


@app.command()
def pause(run_id: RunId, as_format: FormatOption = Format.TEXT) -> None:
    """Pause a run between two slots."""
    _print_state(_controller().pause(run_id), as_format)


def resume(run_id: str, as_format: Format) -> None:
    """Resume a paused run: `airtoll resume ID`."""
    _print_state(_controller().resume(run_id), as_format)


@app.command()
def weights(
    run_id: RunId,
    node: NodeName = "",
    out: Annotated[Path | None, typer.Option("-o", metavar="FILE", help="Write the weights to FILE.")] = None,
    sent_slot: Annotated[
        int | None, typer.Option(min=0, metavar="SLOT", help="Those sent in this slot; default: the newest.")
    ] = None,
    as_format: FormatOption = Format.TEXT,
) -> None:
    """Download a node's weights, or list the stored ones.

    With NODE, writes the node's weights as safetensors; without it, lists the stored weights of every node.
    """
    if not node:
        stored = _controller().stored_weights(run_id)
        text = controller_tables.weights(stored["weights"])
        output.print_result(stored, as_format, lambda: output.print_tables(text, as_format=as_format))
        return
    data = _controller().weights(run_id, node, sent_slot=sent_slot)
    path = out or Path(f"{run_id}-{quote(node, safe='')}.safetensors")
    path.write_bytes(data)
    written = {"node": node, "bytes": len(data), "file": str(path)}
    output.print_result(written, as_format, lambda: typer.echo(str(path)))


@app.command("put-weights")
def put_weights(
    run_id: RunId,
    node: NodeName,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="safetensors.", exists=True, dir_okay=False)],
    as_format: FormatOption = Format.TEXT,
) -> None:
    """Upload weights for a node.

    The run sends them to the node over the air in its next slot.
    """
    run = _controller().put_weights(run_id, node, file.read_bytes())
    line = f"uploaded; {node} receives them over the air in the next slot after {run['slot']}"
    output.print_result(run, as_format, lambda: typer.echo(line))


@app.command()
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A run's id.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another run's id.")],
    as_format: FormatOption = Format.TEXT,
) -> None:
    """Show two runs side by side."""
    both = _controller().compare(a, b)
    output.print_result(
        both, as_format, lambda: output.print_tables(controller_tables.comparison(both), as_format=as_format)
    )


@app.command()
def nodes(
    run_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="A run's id; default: all running runs.")] = None,
    as_format: FormatOption = Format.TEXT,
) -> None:
    """List the nodes of runs and the workers of the pool."""
    answer = _controller().nodes(run_id)
    parts = controller_tables.workers(answer["workers"]), controller_tables.nodes(answer["nodes"])
    output.print_result(answer, as_format, lambda: output.print_tables(*parts, as_format=as_format))
    for damage in answer["unreadable"].values():
        output.notice(damage)


def _controller() -> Controller:
    """The controller of AIRTOLL_URL. Its errors (ControllerError) end the command with their exit code."""
    try:
        return connect()
    except ValueError as error:
        output.notice(f"AIRTOLL_URL: {error}")
        raise typer.Exit(USAGE) from error


def _once_not(state: str, run: dict[str, Any]) -> dict[str, Any]:
    """The run once it is in another state than this one, or as it is after a few seconds, in a long slot."""
    deadline = time.monotonic() + _SETTLED_AFTER_S
    while run["state"] == state and time.monotonic() < deadline:
        time.sleep(_POLL_S)
        run = _controller().show(run["id"])
    return run


def _print_state(run: dict[str, Any], as_format: Format) -> None:
    output.print_result(run, as_format, lambda: typer.echo(run["state"]))
