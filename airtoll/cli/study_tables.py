"""What a study prints at its end: the summary as tables for people, 80 columns wide, or all of it as JSON."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from rich.table import Table
from rich.text import Text

from airtoll.analysis.confidence import LEVEL, Mean
from airtoll.analysis.study_summary import Summarised, records
from airtoll.cli import output
from airtoll.cli.output import Format

Label = Callable[[str], str]  # of a number: its name with its unit


def print_study(
    rows: Sequence[Summarised],
    shown: Mapping[str, Sequence[str]],
    label: Label,
    paths: Iterable[Path],
    as_format: Format,
) -> None:
    """Tables of the summary's rows, then the path of each file as soon as it is written. `shown`: the numbers that have
    a table, by sweep; JSON has all."""
    if as_format is Format.JSON:
        output.print_json({"summary": records(rows), "files": [str(path) for path in paths]})
        return
    output.print_tables(*summary_tables([row for row in rows if row.metric in shown[row.sweep]], label))
    output.print_paths(map(str, paths), as_format)


def summary_tables(rows: Sequence[Summarised], label: Label) -> Iterator[Text | Table]:
    """A title and a table per sweep and number."""
    for sweep, metric in dict.fromkeys((row.sweep, row.metric) for row in rows):
        yield Text(f"{sweep}: {label(metric)}")  # not the table's own title, which is no wider than the table
        yield _table([row for row in rows if (row.sweep, row.metric) == (sweep, metric)])


def _table(rows: Sequence[Summarised]) -> Table:
    compares = bool(rows[0].baseline)
    made = output.table(*rows[0].labels, right=["mean", "n", *(["difference"] if compares else [])])
    made.caption = Text("\n".join([_caption(rows[0]), *dict.fromkeys(row.budget for row in rows if row.budget)]))
    for row in rows:
        counted = f"{row.mean.seeds}" if row.mean.seeds == row.seeds else f"{row.mean.seeds} of {row.seeds}"
        difference = [_shown(row.difference, "+")] if compares else []
        made.add_row(*map(Text, [*row.labels.values(), _shown(row.mean), counted, *difference]))
    return made


def _caption(row: Summarised) -> str:
    pairs = f"; difference to {row.baseline}, seed by seed" if row.baseline else ""
    return f"±: {LEVEL:.0%} interval over n seeds (Student t){pairs}"


def _shown(mean: Mean | None, sign: str = "") -> str:
    """`94.3 ± 2.1`; a mean of one seed has no interval."""
    if mean is None:
        return "-"
    return f"{mean.value:{sign}.4g}" + ("" if math.isnan(mean.half) else f" ± {mean.half:.2g}")
