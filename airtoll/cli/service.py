"""Processes that serve until they are stopped: `airtoll serve`, and the pool's workers `agent` and `channel`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from airtoll.cli import output, workers
from airtoll.cli.exit_codes import USAGE
from controller.service.limits import MAX_QUEUED, MAX_READERS, REQUEST_TIMEOUT_S, STOP_TIMEOUT_S
from controller.service.settings import PoolSettings, ServiceSettings

_PORT = 8770
_ARGPARSE = {"allow_extra_args": True, "ignore_unknown_options": True}  # workers parse their options themselves

app = typer.Typer()

# where it listens, and what it requires of clients and workers
Host = Annotated[str, typer.Option(help="Listen on this address.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Listen on this port; 0: any free one.")]
TokenFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", envvar="AIRTOLL_TOKEN_FILE", help="The token; created and printed once if FILE is missing."
    ),
]
PoolEndpoint = Annotated[
    str,
    typer.Option(metavar="tcp://HOST:PORT", envvar="AIRTOLL_POOL", help="Accept pool workers here; default: no pool."),
]
RunProcessPorts = Annotated[
    str,
    typer.Option(
        metavar="FIRST-LAST",
        envvar="AIRTOLL_RUN_PROCESS_PORTS",
        help="Ports on which run processes accept leased workers; default: any free ones.",
    ),
]
KeyFolder = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", envvar="AIRTOLL_KEYS", help="Encrypt the pool's connections; accept only allowed workers."
    ),
]

# its runs
DataFolder = Annotated[Path, typer.Option(metavar="DIR", help="Store runs in DIR/runs, and their index in DIR.")]
Imports = Annotated[
    list[Path] | None,
    typer.Option("--import", metavar="DIR", help="Copy runs of `airtoll run` here: a run's folder, or one of several."),
]
AtOnce = Annotated[int, typer.Option(min=1, help="Run at most this many runs at a time; queue the others.")]
Queue = Annotated[int, typer.Option(min=1, help="Queue at most this many runs.")]
OnLoss = Annotated[
    Literal["fail", "resume"],
    typer.Option(help="When a run's process is lost: fail the run, or resume it from its newest checkpoint."),
]
RunMemory = Annotated[
    float | None,
    typer.Option(
        min=0.1,
        metavar="GIB",
        help="Reject runs whose world needs more memory, and limit each of their processes; "
        "default: three quarters of this machine's, divided by --at-once.",
    ),
]
StopTimeout = Annotated[
    float, typer.Option(min=0.1, metavar="SECONDS", help="Kill a run process that has not stopped after this time.")
]

# limits of requests
RequestTimeout = Annotated[
    float,
    typer.Option(
        min=0.1, metavar="SECONDS", help="Disconnect a client that sends a request, or reads a response, too slowly."
    ),
]
Readers = Annotated[int, typer.Option(min=1, help="Serve at most this many event streams at a time.")]


@app.command()
def serve(
    host: Host = "127.0.0.1",
    port: Port = _PORT,
    at_once: AtOnce = 1,
    queue: Queue = MAX_QUEUED,
    data: DataFolder = Path(),
    imports: Imports = None,
    on_loss: OnLoss = "fail",
    max_run_memory: RunMemory = None,
    token_file: TokenFile = None,
    pool: PoolEndpoint = "",
    run_process_ports: RunProcessPorts = "*",
    keys: KeyFolder = None,
    stop_timeout: StopTimeout = STOP_TIMEOUT_S,
    request_timeout: RequestTimeout = REQUEST_TIMEOUT_S,
    readers: Readers = MAX_READERS,
) -> None:
    """Start the controller.

    It accepts runs over REST, queues them, and keeps them running after you log out. AIRTOLL_TOKEN sets the token,
    AIRTOLL_DB the database of its index. With --pool, workers started by `airtoll agent` and `airtoll channel` can run
    the nodes. By default its runs are where `airtoll run` writes, in runs/; it lists those that have ended there, too.
    """
    _serve(
        ServiceSettings(
            data=data,
            host=host,
            port=port,
            at_once=at_once,
            max_queued=queue,
            max_readers=readers,
            resume_lost=on_loss == "resume",
            stop_timeout_s=stop_timeout,
            request_timeout_s=request_timeout,
            max_run_memory_bytes=None if max_run_memory is None else int(max_run_memory * 2**30),
            token_file=token_file,
            pool=PoolSettings(pool, run_process_ports, keys) if pool else None,
            imports=tuple(imports or ()),
        )
    )


def _serve(settings: ServiceSettings) -> None:
    """Serve until a signal; exit with a suggested fix where the packages of a controller are not installed."""
    try:
        from controller.api import server
    except ModuleNotFoundError as error:
        output.notice(f"{error}; pip install 'airtoll[serve]'")
        raise typer.Exit(USAGE) from error
    server.serve(
        settings,
        on_ready=lambda url: typer.echo(f"listening at {url}"),
        on_token_created=lambda token: output.notice(f"made the token {token}; it is kept in {settings.token_file}"),
    )


@app.command(help=workers.ABOUT["agent"], context_settings=_ARGPARSE, add_help_option=False)
def agent(ctx: typer.Context) -> None:
    raise typer.Exit(workers.main(["agent", *ctx.args]))


@app.command(help=workers.ABOUT["channel"], context_settings=_ARGPARSE, add_help_option=False)
def channel(ctx: typer.Context) -> None:
    raise typer.Exit(workers.main(["channel", *ctx.args]))
