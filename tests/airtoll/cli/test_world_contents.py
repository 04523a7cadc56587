"""`airtoll worlds NAME`: all views, actions, reports and metrics, with fields, units and shapes."""

import json

import pytest
from typer.testing import CliRunner

from airtoll.cli.commands import app
from airtoll.cli.world_contents import contents_tables, default_world
from channel_server.worlds.conflict_graph import ConflictGraphParams, build
from channel_server.worlds.graphs import Graph
from controller.config.catalogue import schemes, worlds


def _shown(*words: str) -> str:
    result = CliRunner().invoke(app, list(words), env={"COLUMNS": "300"})
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.parametrize("name", worlds())
def test_everything_that_a_world_offers_is_shown(name: str) -> None:
    world, text = default_world(worlds()[name]), _shown("worlds", name)
    data = json.loads(_shown("worlds", name, "--format", "json"))[name]
    assert data["agents"] == list(world.agents)
    for view, spaces in world.views.items():
        assert view in text
        for agent, space in zip(world.agents, spaces, strict=True):
            assert [field["name"] for field in data["views"][view][agent]] == [field.name for field in space.fields]
            assert all(field.name in text and field.unit.split(",")[0] in text for field in space.fields)
    assert [field["high"] for field in data["actions"][world.agents[0]]] == [f.high for f in world.actions[0].fields]
    assert data["reports"].keys() == world.reports.keys()
    assert all(report in text for report in world.reports)
    assert [metric["name"] for metric in data["metrics"]] == [metric.name for metric in world.metrics]


def test_reports_show_their_senders_and_fields() -> None:
    reports = json.loads(_shown("worlds", "d2d_underlay", "--format", "json"))["d2d_underlay"]["reports"]
    assert (reports["outage"]["from"], reports["outage"]["link"], reports["outage"]["bits"]) == (["bs"], "downlink", 1)
    assert reports["cue_csi"]["from"] == [f"cue-{m}" for m in range(10)]
    assert (reports["cue_csi"]["fields"][0]["shape"], reports["cue_csi"]["bits"]) == ([11], 352)


def test_agents_with_different_spaces_have_rows_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = Graph(("a", "b", "c"), ((1, 2), (3,), (4,)), frozenset({(1, 3)}))
    monkeypatch.setattr("channel_server.worlds.conflict_graph.load", lambda _: graph)
    views = contents_tables(build(ConflictGraphParams(), seed=1, replicas=1))[1]
    rows = list(zip(views.columns[0].cells, views.columns[1].cells, views.columns[2].cells, strict=True))
    assert rows[0] == ("queues", "a", "tasks")
    assert rows[3] == ("queues", "b, c", "tasks")


@pytest.mark.parametrize("name", schemes())
def test_a_scheme_shows_its_turns(name: str) -> None:
    scheme, text = schemes()[name], _shown("schemes", name)
    choreography = scheme.choreography(scheme.params())
    assert all(spec.step in text and spec.view in text for spec in choreography.turns)
    assert all(report in text for report in choreography.feedback)
