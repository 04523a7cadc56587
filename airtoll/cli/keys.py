"""The commands `airtoll keys`: make, allow, revoke, show. No secret is ever printed."""

from pathlib import Path
from typing import Annotated

import typer

from airtoll.cli.output import Format, FormatOption, print_json
from protocol.transports.keys import NODE, SERVER, AllowedKey, Keys

app = typer.Typer()
keys = typer.Typer(no_args_is_help=True, help="Manage the keys of encrypted, authenticated connections.")
app.add_typer(keys, name="keys")

KeyFolder = Annotated[Path, typer.Argument(metavar="DIR", help="A folder of keys.")]


@keys.command()
def make(folder: KeyFolder, as_format: FormatOption = Format.TEXT) -> None:
    """Make the keys that DIR lacks: the server's, a node's, and the list of allowed nodes. Existing keys stay."""
    _print(Keys.make(folder), as_format)


@keys.command()
def allow(
    folder: KeyFolder,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The node's public key, its node.key.")],
    name: Annotated[
        str | None, typer.Option("--as", metavar="NAME", help="A name for the key; default: FILE without its ending.")
    ] = None,
    node: Annotated[
        str, typer.Option("--node", metavar="NODE", help="Bind the key to the node of this name, such as pair-0.")
    ] = "",
    worker: Annotated[
        str, typer.Option("--worker", metavar="WORKER", help="Bind the key to the pool's worker of this name.")
    ] = "",
    as_format: FormatOption = Format.TEXT,
) -> None:
    """Allow a node to connect to the server of DIR."""
    folder_keys = Keys.read(folder)
    folder_keys.allow(file, name or file.stem, node=node, worker=worker)
    _print(folder_keys, as_format)


@keys.command()
def revoke(
    folder: KeyFolder,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The name that `airtoll keys show` prints.")],
    as_format: FormatOption = Format.TEXT,
) -> None:
    """Reject a node from now on. An open connection stays until it ends."""
    folder_keys = Keys.read(folder)
    folder_keys.revoke(name)
    _print(folder_keys, as_format)


@keys.command()
def show(folder: KeyFolder, as_format: FormatOption = Format.TEXT) -> None:
    """Show the public keys of DIR and the allowed nodes."""
    _print(Keys.read(folder), as_format)


def _print(keys: Keys, as_format: Format) -> None:
    own = {name: keys.public(name).decode() for name in (SERVER, NODE) if (keys.folder / f"{name}.key").exists()}
    allowed = keys.allowed()
    if as_format is Format.JSON:
        bound = {name: _bindings(key) for name, key in allowed.items() if _bindings(key)}
        print_json(own | {"allowed": {name: key.key.decode() for name, key in allowed.items()}, "bound": bound})
        return
    lines = [*own.items(), *((f"allowed {name}", _describe(key)) for name, key in allowed.items())]
    width = max(len(name) for name, _ in lines)
    for name, text in lines:
        typer.echo(f"{name:{width}}  {text}")


def _describe(key: AllowedKey) -> str:
    """The key and what it is bound to."""
    return "  ".join([key.key.decode(), *(f"{kind} {name}" for kind, name in _bindings(key).items())])


def _bindings(key: AllowedKey) -> dict[str, str]:
    return {kind: name for kind, name in (("node", key.node), ("worker", key.worker)) if name}
