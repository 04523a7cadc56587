"""Configurations: `airtoll init` writes a run's file, `airtoll schema` prints what editors need to complete one."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from airtoll.cli import output
from airtoll.cli.output import Format, FormatOption
from controller.config import reference, schema
from controller.config.errors import ConfigError, invalid

app = typer.Typer()


class FileKind(Enum):
    """What a YAML file describes."""

    RUN = "run"
    STUDY = "study"


@app.command("schema")
def print_schema(
    kind: Annotated[FileKind, typer.Argument(help="The kind of file.")] = FileKind.RUN,
    as_format: FormatOption = Format.JSON,
) -> None:
    """Print the JSON schema of a run's or a study's file.

    Editors complete and check YAML by it: save it, and begin the file with # yaml-language-server: $schema=FILE
    """
    _ = as_format  # a schema is JSON in any case
    output.print_json(schema.of_run() if kind is FileKind.RUN else schema.of_study())


@app.command()
def init(
    world: Annotated[str, typer.Argument(metavar="WORLD", help="A world that `airtoll worlds` lists.")],
    scheme: Annotated[str, typer.Argument(metavar="SCHEME", help="A scheme that `airtoll schemes` lists.")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", metavar="FILE", help="Write it here; default: to stdout.")
    ] = None,
) -> None:
    """Write a run's YAML file, every key with its meaning.

    It runs as it is: `airtoll run FILE`. Keys that keep their defaults can be deleted.
    """
    text = reference.commented(world, scheme)
    if out is None:
        typer.echo(text, nl=False)
        return
    if out.exists():
        raise ConfigError(invalid("--out", str(out), "exists already; choose another name"))
    out.write_text(text, "utf-8")
    typer.echo(f"{out}: written. Next: airtoll run {out}")
