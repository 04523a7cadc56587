"""The worlds and schemes that are there: all on one screen, or one of them in full."""

import dataclasses
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.markup import escape
from rich.table import Table

from channel_server.worlds.contract import WorldEntry
from controller.config.catalogue import Entry, params_schema
from controller.config.errors import shown
from schemes.contract import Card, Scheme

_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}


def world_list(worlds: dict[str, WorldEntry]) -> Table:
    """One line per world."""
    table = _table("world", "summary", "source")
    for name, world in worlds.items():
        table.add_row(name, escape(world.summary), escape(world.source))
    return table


def scheme_list(schemes: dict[str, Scheme]) -> Table:
    """One line per scheme."""
    table = _table("scheme", "worlds", "summary")
    for name, scheme in schemes.items():
        table.add_row(name, ", ".join(scheme.card.worlds), escape(scheme.card.summary))
    return table


def card_table(card: Card) -> Table:
    """A scheme's card."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for key, value in as_data(card).items():
        text = "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        table.add_row(key, escape(text) or "-")
    return table


def params_table(entry: Entry) -> Table:
    """All parameters of a world or scheme."""
    table = _table("parameter", "default", "bounds", "meaning (source)")
    table.columns[0].no_wrap = True
    for name, about in parameters(entry).items():
        default = shown(about["default"]) if "default" in about else "(required)"
        meaning = f"{about.get('description', '')} ({about.get('source', 'ours')})"
        table.add_row(name, f"{default} {about.get('unit', '')}", escape(bounds(about)), escape(meaning))
    return table


def parameters(entry: Entry) -> dict[str, dict[str, Any]]:
    """JSON schema of each parameter, by name."""
    properties: dict[str, dict[str, Any]] = params_schema(entry)["properties"]
    return {name: about for name, about in properties.items() if name != "name"}


def bounds(about: dict[str, Any]) -> str:
    """What a parameter may be: `>= 1, <= 500`, or its choices."""
    if "enum" in about:
        return " or ".join(map(str, about["enum"]))
    return ", ".join(f"{sign} {about[key]}" for key, sign in _BOUNDS.items() if key in about)


def as_data(entry: WorldEntry | Card) -> dict[str, Any]:
    """A world's or a card's own words, for JSON."""
    words = {f.name: getattr(entry, f.name) for f in dataclasses.fields(entry) if f.name not in ("params", "build")}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in words.items()}


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
