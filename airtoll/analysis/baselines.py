"""The table that compares a run with its baselines on the same channels."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table
from rich.text import Text

_REWARD = "reward_total"
_MAX_NAME = 26  # characters of a line; longer names continue in the next


def comparison(rows: Sequence[Mapping[str, Any]], *, metrics: int = 2) -> Table:
    """The rows of `controller.execution.comparison.compared`: the mean reward in eval, its gain over the floor, its
    share of the gap between floor and ceiling, some more metrics, and the overhead of training and of execution in
    bytes per slot and node."""
    names = [name for name in rows[0]["metrics"] if name != _REWARD][:metrics]
    table = Table(title="on the same channels, means over eval", box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
    lines = [line for row in rows for line in _lines(row["scheme"]).splitlines()]
    table.add_column("scheme", overflow="fold", min_width=min(_MAX_NAME, max(map(len, lines))))
    for name in (_REWARD, "gain over floor", "share of gap", *names):
        table.add_column(name.replace("_", " ") if metrics else re.sub("[_ ]", "\n", name), justify="right")
    unit = "[bytes/\nslot/node]" if metrics else "[bytes/\nslot/\nnode]"  # a narrow table
    for part in ("training", "execution"):
        # A Text, because a console that reads markup would swallow the unit in brackets.
        heading = f"{part}\noverhead\n{unit}"
        table.add_column(Text(heading), justify="right", min_width=max(map(len, heading.splitlines())))
    if any(row["training"]["late_bytes"] for row in rows):
        table.caption = "training overhead includes the last histories and weights of training, sent in eval"
        table.caption_justify = "left"
    for row in rows:
        reward = _shown(row["metrics"].get(_REWARD), ".5g")
        gains = _shown(row["gain_over_floor"], "+.1%"), _shown(row["share_of_gap"], ".1%")
        others = [_shown(row["metrics"].get(name), ".4f") for name in names]
        overhead = [_shown(row[part]["bytes_per_slot_per_node"], ".4g") for part in ("training", "execution")]
        table.add_row(Text(_lines(row["scheme"])), reward, *gains, *others, *overhead)
    return table


def _lines(scheme: str) -> str:
    """A parameter of a baseline per line."""
    return scheme.replace(" ", "\n  ")


def _shown(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)
