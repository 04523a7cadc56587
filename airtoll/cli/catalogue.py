"""The worlds, schemes and studies without slots that are installed: `airtoll worlds` and `airtoll schemes`."""

import dataclasses
from typing import Annotated, Any

import typer
from rich.table import Table

from airtoll.cli import output
from airtoll.cli.output import Format, FormatOption
from airtoll.cli.world_contents import contents_data, contents_tables, default_world
from channel_server.worlds.contract import WorldEntry
from controller.config import catalogue
from controller.config.catalogue import Entry, params_schema
from controller.config.errors import shown
from schemes.contract import EVERY_WORLD, Card, Scheme
from schemes.offline_study import OfflineStudy

_BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}

app = typer.Typer()

EntryName = Annotated[str | None, typer.Argument(metavar="[NAME]")]


@app.command()
def worlds(name: EntryName = None, as_format: FormatOption = Format.TEXT) -> None:
    """List the worlds, or show one world's parameters, views, actions and reports.

    Their shapes are those of the default parameters.
    """
    chosen = catalogue.worlds() if name is None else {name: catalogue.world_named(name)}
    if as_format is Format.JSON:
        output.print_json(
            {n: as_data(w) | {"parameters": parameters(w)} | contents_data(default_world(w)) for n, w in chosen.items()}
        )
    elif name is None:
        output.print_tables(world_list(chosen), as_format=as_format)
    else:
        tables = contents_tables(default_world(chosen[name]))
        output.print_tables(world_list(chosen), params_table(chosen[name]), *tables, as_format=as_format)


@app.command()
def schemes(name: EntryName = None, as_format: FormatOption = Format.TEXT) -> None:
    """List the schemes, or show one scheme's card, turns and parameters; studies without slots likewise."""
    if name in catalogue.offline_studies():
        _study(name, as_format)
        return
    chosen = catalogue.schemes() if name is None else {name: catalogue.scheme_named(name)}
    if as_format is Format.JSON:
        about = {n: as_data(s.card) | {"learns": s.learns, "needs": list(s.needs)} for n, s in chosen.items()}
        output.print_json({n: about[n] | {"parameters": parameters(s)} for n, s in chosen.items()})
    elif name is None:
        output.print_tables(scheme_list(chosen), study_list(catalogue.offline_studies()), as_format=as_format)
    else:
        output.print_tables(
            card_table(chosen[name]), turns_table(chosen[name]), params_table(chosen[name]), as_format=as_format
        )


def world_list(worlds: dict[str, WorldEntry]) -> Table:
    """One line per world."""
    made = output.table("world", "summary", "source")
    for name, world in worlds.items():
        made.add_row(name, world.summary, world.source)
    return made


def scheme_list(schemes: dict[str, Scheme]) -> Table:
    """One line per scheme."""
    made = output.table("scheme", "worlds", "summary")
    for name, scheme in schemes.items():
        made.add_row(
            name,
            "every world" if scheme.card.worlds == EVERY_WORLD else ", ".join(scheme.card.worlds),
            scheme.card.summary,
        )
    return made


def study_list(studies: dict[str, OfflineStudy]) -> Table:
    """One line per study without slots."""
    made = output.table("study", "summary", title="studies without slots, for airtoll study")
    for name, study in studies.items():
        made.add_row(name, study.summary)
    return made


def _study(name: str, as_format: Format) -> None:
    """Print a study's columns and parameters."""
    study = catalogue.offline_study_named(name)
    if as_format is Format.JSON:
        about = as_data(study) | {"numbers": dict(study.numbers), "labels": dict(study.labels)}
        output.print_json({name: about | {"parameters": parameters(study)}})
        return
    columns = [f"{number} [{unit}]" for number, unit in study.numbers.items()]
    columns += [f"{label}: {', '.join(values)}" for label, values in study.labels.items()]
    texts = {"name": name, "summary": study.summary, "citation": study.citation, "columns": "\n".join(columns)}
    output.print_tables(output.pairs_table(texts.items()), params_table(study), as_format=as_format)


def card_table(scheme: Scheme) -> Table:
    """A scheme's card, whether it learns, and which libraries it needs beyond the core's."""
    texts = (
        (key, "\n".join(map(str, value)) if isinstance(value, list) else str(value))
        for key, value in (as_data(scheme.card) | _learning(scheme)).items()
    )
    return output.pairs_table((key, text or "-") for key, text in texts)


def turns_table(scheme: Scheme) -> Table:
    """The turns of a slot, with default parameters; `airtoll worlds NAME` lists the fields of each view."""
    choreography = scheme.choreography(scheme.params())
    made = output.table("turn", "who", "step", "order", "view", "times")
    for number, spec in enumerate(choreography.turns):
        made.add_row(str(number), spec.who, spec.step, spec.order, spec.view or "-", str(spec.repeat))
    for report in choreography.feedback:
        made.add_row("after", "network", "feedback", "-", report, "1")
    return made


def _learning(scheme: Scheme) -> dict[str, str]:
    return {"learns": "yes" if scheme.learns else "no", "needs": ", ".join(scheme.needs)}


def params_table(entry: Entry) -> Table:
    """All parameters of a world or scheme."""
    made = output.table("parameter", "default", "bounds", "meaning (source)")
    made.columns[0].no_wrap = True
    for name, schema in parameters(entry).items():
        default = shown(schema["default"]) if "default" in schema else "(required)"
        meaning = f"{schema.get('description', '')} ({schema.get('source', 'ours')})"
        made.add_row(name, f"{default} {schema.get('unit', '')}", bounds(schema), meaning)
    return made


def parameters(entry: Entry) -> dict[str, dict[str, Any]]:
    """JSON schema of each parameter, by name."""
    properties: dict[str, dict[str, Any]] = params_schema(entry)["properties"]
    return {name: schema for name, schema in properties.items() if name != "name"}


def bounds(schema: dict[str, Any]) -> str:
    """The values a parameter may have: `>= 1, <= 500`, or its choices."""
    if "enum" in schema:
        return " or ".join(map(str, schema["enum"]))
    return ", ".join(f"{sign} {schema[key]}" for key, sign in _BOUNDS.items() if key in schema)


def as_data(entry: WorldEntry | Card | OfflineStudy) -> dict[str, Any]:
    """The own fields of a world, a card or a study, for JSON."""
    code = ("params", "build", "memory_bytes", "rows")
    fields = {f.name: getattr(entry, f.name) for f in dataclasses.fields(entry) if f.name not in code}
    return {key: list(value) if isinstance(value, tuple) else value for key, value in fields.items()}
