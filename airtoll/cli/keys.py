"""The commands `airtoll keys`: make, allow, revoke, show. No secret is ever printed."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import typer

from airtoll.cli.remote import AsFormat, Format
from protocol.transports.keys import NODE, SERVER, Keys

app = typer.Typer(no_args_is_help=True, help="The keys that connections between machines are locked with.")

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A folder of keys.")]


@app.command()
def make(folder: Folder, as_format: AsFormat = Format.TEXT) -> None:
    """Make the keys that DIR lacks: the server's, a node's, and who may come in. What is there stays."""
    _tell(Keys.make(folder), as_format)


@app.command()
def allow(
    folder: Folder,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The node's public key, its node.key.")],
    name: Annotated[str | None, typer.Option("--as", metavar="NAME", help="Default: FILE without its ending.")] = None,
    as_format: AsFormat = Format.TEXT,
) -> None:
    """Let a node come in to the server of DIR."""
    keys = Keys.read(folder)
    keys.allow(file, name or file.stem)
    _tell(keys, as_format)


@app.command()
def revoke(
    folder: Folder,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `airtoll keys show` names it.")],
    as_format: AsFormat = Format.TEXT,
) -> None:
    """Let a node come in no more. One that is in stays until its connection ends."""
    keys = Keys.read(folder)
    keys.revoke(name)
    _tell(keys, as_format)


@app.command()
def show(folder: Folder, as_format: AsFormat = Format.TEXT) -> None:
    """The public keys of DIR, and who may come in."""
    _tell(Keys.read(folder), as_format)


def _tell(keys: Keys, as_format: Format) -> None:
    own = {name: keys.public(name).decode() for name in (SERVER, NODE) if (keys.folder / f"{name}.key").exists()}
    allowed = {name: key.decode() for name, key in keys.allowed().items()}
    if as_format is Format.JSON:
        typer.echo(json.dumps(own | {"allowed": allowed}))
    else:
        _print(own, allowed)


def _print(own: Mapping[str, str], allowed: Mapping[str, str]) -> None:
    lines = [*own.items(), *((f"allowed {name}", key) for name, key in allowed.items())]
    width = max(len(name) for name, _ in lines)
    for name, key in lines:
        typer.echo(f"{name:{width}}  {key}")
