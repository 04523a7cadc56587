"""The commands of the pool's workers: what a node needs and typer, no configuration, no pictures, no torch."""

import os
import signal
import socket
import threading
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from controller.launchers.worker import Offer, Worker
from protocol.keys import Keys, KeysError

_REFUSED, _USAGE = 1, 2

Pool = Annotated[
    str,
    typer.Option(
        "--pool", metavar="tcp://HOST:PORT", envvar="AIRTOLL_POOL", help="Where the controller's pool listens."
    ),
]
KeyFolder = Annotated[
    Path | None,
    typer.Option("--keys", metavar="DIR", envvar="AIRTOLL_KEYS", help="Of a pool that is locked: the node's keys."),
]
Name = Annotated[str, typer.Option(help="What it is called; by default after its host and process.")]

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def offer_workers(to: typer.Typer) -> None:
    """Add these commands."""
    to.command()(agent)
    to.command()(channel)


def agent(
    pool: Pool,
    places: Annotated[
        int, typer.Option(min=1, max=1000, help="So many nodes at a time, of one run or of several.")
    ] = 1,
    name: Name = "",
    keys: KeyFolder = None,
) -> None:
    """Wait for runs of a controller, and be nodes of theirs. SIGTERM or Ctrl-C ends it."""
    _serve(Offer("agent", name or _called(), places=places), pool, keys)


def channel(
    pool: Pool,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Where nodes come to; 0: any that is free.")] = 0,
    address: Annotated[
        str, typer.Option(metavar="HOST", help="By which nodes reach this machine; by default as the pool does.")
    ] = "",
    name: Name = "",
    keys: KeyFolder = None,
) -> None:
    """Wait for runs of a controller, and be the channel server of one at a time. SIGTERM or Ctrl-C ends it."""
    _serve(Offer("channel", name or _called(), port=port, address=address), pool, keys)


def _serve(offer: Offer, pool: str, keys: Path | None) -> None:
    stop = threading.Event()

    def hear(_number: int, _frame: FrameType | None) -> None:
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, hear)
    try:
        locked = None if keys is None else Keys.read(keys).client()
    except KeysError as error:
        typer.echo(f"--keys: {error}", err=True)
        raise typer.Exit(_USAGE) from error
    try:
        worker = Worker(offer, pool, locked)
    except ValueError as error:
        typer.echo(f"--pool: {error}", err=True)
        raise typer.Exit(_USAGE) from error
    with worker:
        worker.serve(stop.is_set)
    if worker.refused:
        typer.echo(f"the pool does not take this worker: {worker.refused}", err=True)
        raise typer.Exit(_REFUSED)


def _called() -> str:
    return f"{socket.gethostname()}-{os.getpid()}"


offer_workers(app)
