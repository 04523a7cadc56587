"""What a world offers to its nodes: agents, views, actions, reports and metrics, as tables and as data."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
from rich.table import Table

from airtoll.cli import output
from channel_server.worlds.contract import World, WorldEntry
from protocol.messages.spaces import Field, Space
from schemes.ours.vectors import Inputs, Outputs

_MAX_NAMES = 4  # of agents in a row; more are counted


def default_world(entry: WorldEntry) -> World:
    """The world with its default parameters."""
    return entry.build(entry.params(), seed=1, replicas=1)


def contents_tables(world: World) -> list[Table]:
    """Agents and links; the fields of each view, of the action and of each report; the metrics."""
    views = (
        (view, agents, space)
        for view, spaces in world.views.items()
        for agents, space in _distinct(world.agents, spaces)
    )
    actions = (("action", agents, space) for agents, space in _distinct(world.agents, world.actions))
    return [
        _members_table(world),
        _fields_table("what an agent can measure, by view", "view", views),
        _fields_table("what an agent decides", "", actions),
        *([_reports_table(world)] if world.reports else []),
        _metrics_table(world),
    ]


def contents_data(world: World) -> dict[str, Any]:
    """The same for JSON; the spaces of views and actions by agent."""
    named = {
        view: dict(zip(world.agents, map(_space_data, spaces), strict=True)) for view, spaces in world.views.items()
    }
    return {
        "agents": list(world.agents),
        "infrastructure": list(world.infrastructure),
        "agent_link": world.agent_link.name.lower(),
        "cloud_link": world.cloud_link,
        "views": named,
        "actions": dict(zip(world.agents, map(_space_data, world.actions), strict=True)),
        "reports": {name: _report_data(world, name) for name in world.reports},
        "metrics": [metric._asdict() for metric in world.metrics],
    }


def _members_table(world: World) -> Table:
    infrastructure = _names(world.infrastructure, world.infrastructure) if world.infrastructure else "none"
    return output.pairs_table(
        [
            ("agents", f"{len(world.agents)}: {_names(world.agents, world.agents)}"),
            ("infrastructure", infrastructure),
            ("links between agents", world.agent_link.name.lower()),
            ("links to the BS/cloud", world.cloud_link),
            (f"inputs of {world.agents[0]}, by view", _inputs(world)),
            (f"outputs of {world.agents[0]}", str(Outputs(world.actions[0]).size)),
        ]
    )


def _inputs(world: World) -> str:
    """How many numbers the first agent measures in each view: what a network takes."""
    return ", ".join(f"{view} {Inputs(spaces[0]).size}" for view, spaces in world.views.items())


def _fields_table(title: str, head: str, rows: Iterable[tuple[str, str, Space]]) -> Table:
    made = output.table(head, "agents", "field", "type", "shape", "unit", "bounds", title=title)
    for name, agents, space in rows:
        for nth, field in enumerate(space.fields):
            made.add_row(*((name, agents) if nth == 0 else ("", "")), *_field_cells(field))
    return made


def _reports_table(world: World) -> Table:
    title = "notes that the infrastructure can send, by report: [field] per replica"
    made = output.table(
        "report", "from, to", "kind, link", "field", "shape", "unit", "meaning", title=title, right=["bits"]
    )
    for name, report in world.reports.items():
        for field in report.space.fields:
            cells = _field_cells(field)
            way, what = f"{report.source} to {report.to}", f"{report.kind.name.lower()}, {report.link.name.lower()}"
            made.add_row(name, way, what, cells[0], cells[2], cells[3], report.doc, str(report.bits))
    return made


def _metrics_table(world: World) -> Table:
    made = output.table("metric", "unit", "meaning", title="what a run reports")
    for metric in world.metrics:
        made.add_row(metric.name, metric.unit, metric.doc)
    return made


def _distinct(agents: Sequence[str], spaces: Sequence[Space]) -> Iterator[tuple[str, Space]]:
    """Each space once, with the agents that have it."""
    owners: dict[Space, list[str]] = {}
    for agent, space in zip(agents, spaces, strict=True):
        owners.setdefault(space, []).append(agent)
    for space, names in owners.items():
        yield _names(names, agents), space


def _names(names: Sequence[str], everyone: Sequence[str]) -> str:
    """`all`, or the names, shortened."""
    if len(names) == len(everyone) and len(names) > _MAX_NAMES:
        return f"{names[0]} ... {names[-1]}"
    if len(names) > _MAX_NAMES:
        return f"{', '.join(names[:_MAX_NAMES])} and {len(names) - _MAX_NAMES} more"
    return ", ".join(names)


def _field_cells(field: Field) -> tuple[str, str, str, str, str]:
    """Name, type, shape, unit, bounds."""
    shape = " x ".join(map(str, field.shape)) or "1"
    bounds = [f">= {field.low:g}"] if field.low is not None else []
    bounds += [f"<= {field.high:g}"] if field.high is not None else []
    return field.name, field.dtype, shape, field.unit, ", ".join(bounds)


def _space_data(space: Space) -> list[dict[str, Any]]:
    return [msgspec.structs.asdict(field) | {"shape": list(field.shape)} for field in space.fields]


def _report_data(world: World, name: str) -> Mapping[str, Any]:
    report = world.reports[name]
    return {
        "from": report.sources(world.infrastructure),
        "to": report.to,
        "kind": report.kind.name.lower(),
        "link": report.link.name.lower(),
        "bits": report.bits,
        "fields": _space_data(report.space),
        "doc": report.doc,
    }
