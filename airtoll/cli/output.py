"""What commands print: JSON for programs, tables and lines for people; results on stdout, everything else on stderr."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table

from airtoll.cli.exit_codes import FAILED
from controller.config.errors import ConfigError
from controller.run_folder.reader import NotARunError

_PAGE_WIDTH, _MAX_PAGE_WIDTH = 110, 300  # of tables in a file or a pipe, which have no width of their own


class Format(Enum):
    """How a result is written to stdout."""

    TEXT = "text"
    JSON = "json"
    TSV = "tsv"


FormatOption = Annotated[Format, typer.Option("--format", help="Text for people, JSON for programs, or tables as TSV.")]


def print_json(data: Any) -> None:
    """Indented JSON; ValueError for a number that JSON has no form for."""
    typer.echo(json.dumps(data, indent=2, allow_nan=False))


def print_result(data: Any, as_format: Format, text: Callable[[], None]) -> None:
    """The data as JSON, or whatever `text` prints."""
    if as_format is Format.JSON:
        print_json(data)
    else:
        text()


def width() -> int:
    """The columns of the terminal, or of a page where stdout is none."""
    return Console().width if sys.stdout.isatty() else _PAGE_WIDTH


def print_tables(*tables: RenderableType, as_format: Format = Format.TEXT) -> None:
    """Tables to stdout, their texts exactly as they are: for TSV a heading and a line per row, the fields between tabs.
    Outside a terminal a table is as wide as it needs."""
    if as_format is Format.TSV:
        for table in tables:
            print_tsv(table)
        return
    # Names and reasons come from files, nodes and users: without `markup=False` rich drops text in brackets.
    console = Console(width=width(), markup=False, emoji=False)
    for table in tables:
        if not sys.stdout.isatty():
            console.width = min(
                _MAX_PAGE_WIDTH,
                max(_PAGE_WIDTH, Measurement.get(console, console.options.update(max_width=10**4), table).maximum),
            )
        console.print(table)


def print_tsv(made: RenderableType) -> None:
    """A table's rows; tabs and line breaks inside a field become spaces. Anything but a table is left out."""
    if isinstance(made, Table):
        cells = [[column.header, *column.cells] if made.show_header else list(column.cells) for column in made.columns]
        for row in zip(*cells, strict=True):
            typer.echo("\t".join(" ".join(str(cell).split()) for cell in row))


def print_paths(paths: Iterable[str], as_format: Format) -> None:
    """One path per line as soon as each is written, or all of them as JSON."""
    if as_format is Format.JSON:
        print_json({"files": list(paths)})
        return
    for path in paths:
        typer.echo(path)


def notice(line: str) -> None:
    """Print a line to stderr, which programs that read the results ignore."""
    typer.echo(line, err=True)


def table(*columns: str, title: str | None = None, right: Sequence[str] = ()) -> Table:
    """An empty table in the common style; the columns `right` are aligned to the right."""
    made = Table(title=title, box=SIMPLE_HEAD, title_justify="left", caption_justify="left")
    for column in (*columns, *right):
        made.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return made


def pairs_table(rows: Iterable[tuple[str, str]]) -> Table:
    """Names and values, without a heading."""
    made = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for name, value in rows:
        made.add_row(name, value)
    return made


@contextmanager
def damage_reported() -> Iterator[None]:
    """End the command with one line, not a traceback, when a file cannot be read."""
    try:
        yield
    except (ConfigError, NotARunError):
        raise
    except ValueError as error:
        notice(str(error))
        raise typer.Exit(FAILED) from error
