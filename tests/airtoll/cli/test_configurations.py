"""`airtoll init` and `airtoll schema`."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from airtoll.cli.commands import app
from controller.config import schema
from controller.config.catalogue import schemes, worlds
from controller.config.formats import parse_yaml
from controller.config.reference import commented
from controller.config.resolved import load
from controller.config.run_config import RunConfig
from controller.studies.study_file import _StudyFields


def _call(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_commented_file_runs(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    assert _call("init", "d2d_underlay", "li2020/sla", "-o", path).exit_code == 0
    small = ("--set", "phases.eval=3", "--set", "placement=in-process", "--out", tmp_path / "run")
    done = _call("run", path, *small)
    assert done.exit_code == 0, done.output
    assert "  # resource blocks K" in path.read_text()
    assert _call("init", "d2d_underlay", "li2020/sla", "-o", path).exit_code == 2  # it is there already


def test_a_commented_file_has_every_key_with_its_default() -> None:
    text = commented("d2d_underlay", "li2020/sla")
    written, least = (
        load(given).config for given in (parse_yaml(text), {"world": "d2d_underlay", "scheme": "li2020/sla"})
    )
    assert written.model_dump() == least.model_dump()
    assert set(parse_yaml(text)) == set(RunConfig.model_fields) - {"slots"}


def test_a_scheme_that_does_not_fit_the_world_is_rejected() -> None:
    result = _call("init", "conflict_graph", "li2020/sla")
    assert (result.exit_code, "schemes for conflict_graph: " in result.stderr) == (2, True)


def test_the_schema_has_all_keys_worlds_and_schemes() -> None:
    printed = json.loads(_call("schema").stdout)
    assert set(printed["properties"]) == set(RunConfig.model_fields)
    assert printed["properties"]["world"]["anyOf"][0]["enum"] == list(worlds())
    assert {f"scheme {name}" for name in schemes()} <= printed["$defs"].keys()
    pairs = printed["$defs"]["world d2d_underlay"]["properties"]["pairs"]
    assert (pairs["type"], pairs["minimum"], pairs["default"]) == ("integer", 1, 10)
    assert "lost" in printed["$defs"]["OnNodeLoss"]["properties"]["action"]["description"]


def test_all_references_of_a_schema_exist() -> None:
    for made in (schema.of_run(), schema.of_study()):
        names = {name.replace("/", "~1").replace(" ", "%20") for name in made["$defs"]}
        references = {part.split('"')[0] for part in json.dumps(made).split('"#/$defs/')[1:]}
        assert references <= names


def test_the_schema_of_a_study_has_its_keys() -> None:
    assert set(json.loads(_call("schema", "study").stdout)["properties"]) == set(_StudyFields.model_fields)


@pytest.mark.parametrize("kind", ["runs", "1"])
def test_an_unknown_kind_of_file_is_rejected(kind: str) -> None:
    assert _call("schema", kind).exit_code == 2
