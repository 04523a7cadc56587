"""The commands of the controller: serve, and as its client submit, list, show, watch, stop, pause, compare."""

import json
import sys
from collections.abc import Callable
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, Group
from rich.table import Table

from airtoll.api import connect
from controller.config import layers
from controller.service.limits import MAX_QUEUED, MAX_READERS, REQUEST_TIMEOUT_S, STOP_TIMEOUT_S
from controller.service.settings import PoolSettings, ServiceSettings

_FAILED, _USAGE = 1, 2
_PORT = 8770
_PAGE_WIDTH = 110  # of tables that go to a file or a pipe


class Format(Enum):
    """How a result is written to stdout."""

    TEXT = "text"
    JSON = "json"


class OnLoss(Enum):
    """What becomes of a run whose run process was lost."""

    FAIL = "fail"
    RESUME = "resume"


RunId = Annotated[str, typer.Argument(metavar="ID", help="The run's id.")]
AsFormat = Annotated[Format, typer.Option("--format", help="Text for people, JSON for programs.")]


def register(app: typer.Typer) -> None:
    """Add these commands."""
    for command in (serve, submit, show, watch, stop, pause, weights, compare, nodes):
        app.command()(command)
    app.command("list")(list_runs)
    app.command("put-weights")(put_weights)


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0: any that is free.")] = _PORT,
    at_once: Annotated[int, typer.Option(min=1, help="So many runs at a time; the others wait.")] = 1,
    queue: Annotated[int, typer.Option(min=1, help="So many may wait.")] = MAX_QUEUED,
    data: Annotated[Path, typer.Option(metavar="DIR", help="Where runs' folders and their index lie.")] = Path("runs"),
    on_loss: Annotated[
        OnLoss, typer.Option(help="Of a run's run process: the run fails, or goes on from its newest checkpoint.")
    ] = OnLoss.FAIL,
    token_file: Annotated[
        Path | None,
        typer.Option(metavar="FILE", envvar="AIRTOLL_TOKEN_FILE", help="The token; made if missing, and told once."),
    ] = None,
    pool: Annotated[
        str, typer.Option(metavar="tcp://HOST:PORT", envvar="AIRTOLL_POOL", help="Where workers report; none without.")
    ] = "",
    run_process_ports: Annotated[
        str,
        typer.Option(metavar="FIRST-LAST", envvar="AIRTOLL_RUN_PROCESS_PORTS", help="Where leased workers come to."),
    ] = "*",
    keys: Annotated[
        Path | None,
        typer.Option(metavar="DIR", envvar="AIRTOLL_KEYS", help="What the pool is locked with, and who may come."),
    ] = None,
    stop_timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="For a run process to confirm that it stops its run.")
    ] = STOP_TIMEOUT_S,
    request_timeout: Annotated[
        float,
        typer.Option(
            min=0.1, metavar="SECONDS", help="For a request to come in, and each piece of its answer to be taken."
        ),
    ] = REQUEST_TIMEOUT_S,
    readers: Annotated[int, typer.Option(min=1, help="So many may look on at runs' events at a time.")] = MAX_READERS,
) -> None:
    """Be the controller: take runs by REST, queue them, carry them out. AIRTOLL_TOKEN locks it, AIRTOLL_DB moves its
    index. With a pool, runs may be carried out by workers that `airtoll agent` and `airtoll channel` start."""
    try:
        from controller.api import server
    except ModuleNotFoundError as error:
        typer.echo(f"{error}; pip install 'airtoll[serve]'", err=True)
        raise typer.Exit(_USAGE) from error
    settings = ServiceSettings(
        data=data,
        host=host,
        port=port,
        at_once=at_once,
        max_queued=queue,
        max_readers=readers,
        resume_lost=on_loss is OnLoss.RESUME,
        stop_timeout_s=stop_timeout,
        request_timeout_s=request_timeout,
        token_file=token_file,
        pool=PoolSettings(pool, run_process_ports, keys) if pool else None,
    )
    server.serve(
        settings,
        on_ready=_listening,
        on_token_created=lambda token: typer.echo(f"made the token {token}; it is kept in {token_file}", err=True),
    )


def submit(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The run's YAML file.")],
    sets: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Wins over the file.")] = None,
    as_format: AsFormat = Format.TEXT,
) -> None:
    """Put a run into the controller's queue."""
    given = layers.from_file(file)
    for text in sets or []:
        given = given.under(layers.from_assignment(text))
    run = _asked(lambda: connect().submit(given.data))
    _tell(run, as_format, lambda: typer.echo(run["id"]))


def list_runs(
    state: Annotated[str | None, typer.Option(help="Only those in this state, such as RUNNING.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500)] = 50,
    as_format: AsFormat = Format.TEXT,
) -> None:
    """The controller's runs, the newest first."""
    told = _asked(lambda: connect().list(state=state, limit=limit))
    _tell(told, as_format, lambda: _print(_listed(told["runs"])))


def show(run_id: RunId, as_format: AsFormat = Format.TEXT) -> None:
    """One run of the controller: state, results, folder."""
    run = _asked(lambda: connect().show(run_id))
    _tell(run, as_format, lambda: _print(_shown(run)))


def watch(run_id: RunId, as_format: AsFormat = Format.TEXT) -> None:
    """Look on while a run of the controller goes, to its end."""
    events = connect().watch(run_id)
    last: dict[str, Any] = {}
    while (told := _asked(lambda: next(events, None))) is not None:
        last |= told
        if as_format is Format.JSON:
            typer.echo(json.dumps(told))
        else:
            _look(told)
    if last.get("state") == "FAILED":
        typer.echo(f"the run is FAILED: {last['reason']}", err=True)
        raise typer.Exit(_FAILED)


def stop(run_id: RunId, as_format: AsFormat = Format.TEXT) -> None:
    """Have a run of the controller end after this slot."""
    run = _asked(lambda: connect().stop(run_id))
    _tell(run, as_format, lambda: typer.echo(run["state"]))


def pause(run_id: RunId, as_format: AsFormat = Format.TEXT) -> None:
    """Have a run of the controller hold between two slots."""
    run = _asked(lambda: connect().pause(run_id))
    _tell(run, as_format, lambda: typer.echo(run["state"]))


def resume_run(run_id: str, as_format: Format = Format.TEXT) -> None:
    """Have a paused run of the controller go on."""
    run = _asked(lambda: connect().resume(run_id))
    _tell(run, as_format, lambda: typer.echo(run["state"]))


def weights(
    run_id: RunId,
    node: Annotated[str, typer.Argument(metavar="NODE", help="The node's name, such as pair-0.")] = "",
    out: Annotated[Path | None, typer.Option("-o", metavar="FILE", help="Where the safetensors go.")] = None,
    sent_slot: Annotated[
        int | None, typer.Option(min=0, help="The slot in which they were sent; without it the newest.")
    ] = None,
    as_format: AsFormat = Format.TEXT,
) -> None:
    """A node's weights in a run of the controller, as safetensors; without NODE which there are."""
    if not node:
        kept = _asked(lambda: connect().stored_weights(run_id))
        _tell(kept, as_format, lambda: _print(_kept(kept["weights"])))
        return
    data = _asked(lambda: connect().weights(run_id, node, sent_slot=sent_slot))
    path = out or Path(f"{run_id}-{quote(node, safe='')}.safetensors")
    path.write_bytes(data)
    _tell({"node": node, "bytes": len(data), "file": str(path)}, as_format, lambda: typer.echo(str(path)))


def put_weights(
    run_id: RunId,
    node: Annotated[str, typer.Argument(metavar="NODE", help="The node's name, such as pair-0.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="safetensors.", exists=True, dir_okay=False)],
    as_format: AsFormat = Format.TEXT,
) -> None:
    """Have a run of the controller give a node these weights in its next slot."""
    run = _asked(lambda: connect().put_weights(run_id, node, file.read_bytes()))
    _tell(run, as_format, lambda: typer.echo(f"{node} is given them in the next slot after {run['slot']}"))


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help="A run's id.")],
    b: Annotated[str, typer.Argument(metavar="B", help="Another run's id.")],
    as_format: AsFormat = Format.TEXT,
) -> None:
    """Two runs of the controller side by side."""
    told = _asked(lambda: connect().compare(a, b))
    _tell(told, as_format, lambda: _print(_compared(told)))


def nodes(
    run_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="A run's id; all at work without.")] = None,
    as_format: AsFormat = Format.TEXT,
) -> None:
    """The workers of the controller's pool, and the nodes of its runs."""
    told = _asked(lambda: connect().nodes(run_id))
    _tell(told, as_format, lambda: _print(Group(_workers(told["workers"]), _nodes(told["nodes"]))))


def _asked(ask: Callable[[], Any]) -> Any:
    """The controller's answer; what it has against it goes to stderr: 2 for bad usage, 1 for anything else."""
    from airtoll.client import ControllerError  # what carries out a run needs no HTTP

    try:
        return ask()
    except ControllerError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(_USAGE if 400 <= error.status < 500 else _FAILED) from error


def _listening(url: str) -> None:
    typer.echo(f"listening at {url}")


def _tell(data: Any, as_format: Format, as_text: Callable[[], None]) -> None:
    if as_format is Format.JSON:
        typer.echo(json.dumps(data, indent=2, allow_nan=False))
    else:
        as_text()


def _look(told: dict[str, Any]) -> None:
    for line in told.get("log", []):
        typer.echo(line)
    for window in told.get("metrics", []):
        reward = window.get("reward_total_sum"), window.get("reward_total_count")
        mean = f", reward_total {reward[0] / reward[1]:.4g}" if reward[0] is not None and reward[1] else ""
        typer.echo(f"slots {window['first']} to {window['last']}, {window['phase']}{mean}")
    if "state" in told:
        reason = f": {told['reason']}" if told["reason"] and told["state"] != "FAILED" else ""
        typer.echo(f"{told['state']}, slot {told['slot']} of {told['slots']}{reason}")


def _listed(runs: list[dict[str, Any]]) -> Table:
    table = _table("id", "state", "slot", "created", *(["reason"] if any(run["reason"] for run in runs) else []))
    for run in runs:
        created = datetime.fromisoformat(run["created"]).astimezone().strftime("%Y-%m-%d %H:%M")
        cells = run["id"], run["state"], f"{run['slot']:,} of {run['slots']:,}", created, run["reason"]
        table.add_row(*cells[: len(table.columns)])
    return table


def _kept(weights: list[dict[str, Any]]) -> Table:
    table = _table("node", "sent in slot", "bytes", "origin")
    for told in weights:
        table.add_row(told["node"], f"{told['sent_slot']:,}", f"{told['bytes']:,}", told["origin"])
    return table


def _shown(run: dict[str, Any]) -> Table:
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for key in ("id", "state", "reason", "world", "scheme", "seed", "slot", "slots", "folder", "trace_digest"):
        table.add_row(key, str(run[key]))
    for name, mean in run["metrics"].items():
        table.add_row(name, _figure(mean))
    return table


def _workers(workers: list[dict[str, Any]]) -> Table:
    table = _table("worker", "role", "host", "places", "idle", "leased to", "torch", "last seen")
    for worker in workers:
        leases = "\n".join(f"{lease['run']} {lease['node']}" for lease in worker["leases"])
        capacity = str(worker["capacity"]), str(worker["idle"])
        torch = worker["fingerprint"].get("torch", "none")
        table.add_row(
            worker["name"], worker["role"], worker["host"], *capacity, leases, torch, _time(worker["last_seen"])
        )
    return table


def _nodes(nodes: list[dict[str, Any]]) -> Table:
    table = _table("node", "run", "role", "where", "host", "present", "slots missed", "weights")
    for node in nodes:
        version = "-" if node["policy_version"] is None else str(node["policy_version"])
        where = node["worker"] or node["placement"], node["host"] or "-"
        present = "yes" if node["present"] else "no"
        table.add_row(node["name"], node["run"], node["role"], *where, present, f"{node['slots_missed']:,}", version)
    return table


def _time(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime("%H:%M:%S")


def _compared(told: dict[str, Any]) -> Table:
    table = _table("", *(f"{run['scheme']}\n{run['id']}" for run in told["runs"]))
    ids = [run["id"] for run in told["runs"]]
    for name, metric in told["metrics"].items():
        table.add_row(name, *(_figure(metric["values"][run_id]) for run_id in ids))
    for kind in dict.fromkeys(kind for tolls in told["toll"].values() for kind in tolls):
        bits = [told["toll"][run_id].get(kind, {}).get("payload_bits", 0) for run_id in ids]
        table.add_row(f"{kind}, payload bits", *(f"{count:,}" for count in bits))
    if not told["same_channels"]:
        table.caption = "not on the same channels: world or seed differ"
    return table


def _figure(mean: float | None) -> str:
    return "-" if mean is None else f"{mean:.6g}"


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, caption_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _print(part: Any) -> None:
    Console(width=None if sys.stdout.isatty() else _PAGE_WIDTH).print(part)
