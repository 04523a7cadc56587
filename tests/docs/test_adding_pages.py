"""The world and the scheme that the pages build: the catalogue finds them, and they pass every conformance kit."""

import sys
import textwrap
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

import airtoll
import channel_server.worlds
import schemes as papers
from airtoll.cli import tables
from airtoll.testing import check_scheme, check_world
from airtoll.testing.worlds import check_drawing
from controller.config import catalogue
from controller.config.errors import ConfigError
from controller.config.formats import parse_yaml
from controller.config.layers import from_assignment
from controller.config.resolved import load
from protocol.messages import drawing
from tests.docs.pages import block, blocks, headings, page

WORLD, SCHEME, CENTRAL = "slotted_aloha", "aloha1970/polite", "aloha1970/central"
CACHES = (catalogue.worlds, catalogue.schemes)


@pytest.fixture(autouse=True)
def _modules_of_the_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """During a test, the pages' modules are where the catalogue searches."""
    worlds, paper = tmp_path / "worlds", tmp_path / "schemes" / "aloha1970"
    worlds.mkdir()
    paper.mkdir(parents=True)
    (paper / "__init__.py").touch()
    for at, name, head in (
        (worlds / "slotted_aloha.py", "add-a-world.md", "# channel_server/worlds/slotted_aloha.py"),
        (paper / "polite.py", "add-a-scheme.md", "# schemes/aloha1970/polite.py"),
        (paper / "central.py", "add-a-scheme.md", "# schemes/aloha1970/central.py"),
    ):
        at.write_text(block(name, head), "utf-8")
    monkeypatch.setattr(channel_server.worlds, "__path__", [*channel_server.worlds.__path__, str(worlds)])
    monkeypatch.setattr(papers, "__path__", [*papers.__path__, str(paper.parent)])
    _forget()
    yield
    _forget()


def _forget() -> None:
    for cache in CACHES:
        cache.cache_clear()
    for name in [name for name in sys.modules if name.endswith("slotted_aloha") or "aloha1970" in name]:
        del sys.modules[name]


def _polite() -> dict[str, Any]:
    settings: dict[str, Any] = parse_yaml(block("add-a-scheme.md", "# polite.yaml"))
    return settings


def test_the_catalogue_finds_both() -> None:
    assert WORLD in catalogue.worlds()
    assert SCHEME in catalogue.schemes()


def test_the_run_gives_what_the_page_shows(tmp_path: Path) -> None:
    summary = airtoll.run(_polite(), folder=tmp_path / "run", placement="in-process")
    assert summary["state"] == "SUCCEEDED"
    text = block("add-a-scheme.md", "$ airtoll run polite.yaml")
    shown = [line.split() for line in text.splitlines()]
    for printed, first in (
        (tables.metrics(summary, {}), "metric"),
        (tables.toll({}, by="kind", slots=1, agents=1), "kind"),
    ):
        assert headings(text, first) == [str(column.header) for column in printed.columns]
    means = {name: f"{mean:.6g}" for name, mean in summary["metrics"].items()}
    assert means == {line[0]: line[1] for line in shown if line[:1] and line[0] in means}
    toll = summary["toll"]["neighbour"]
    counted = [f"{toll[key]:,}" for key in ("notes", "note_bytes", "payload_bits")]
    assert [line[1:4] for line in shown if line[:1] == ["neighbour"]] == [counted]


def test_a_violated_bound_is_reported_as_on_the_page() -> None:
    with pytest.raises(ConfigError) as rejected:
        load(_polite(), overrides=[from_assignment("world.load=1.5")])
    assert str(rejected.value) in page("add-a-world.md")


def test_they_pass_every_kit() -> None:
    check_world(WORLD)
    check_scheme(SCHEME)
    check_scheme(CENTRAL)


def test_the_central_scheme_has_no_collisions_and_pays_what_the_page_says(tmp_path: Path) -> None:
    settings = _polite() | {"scheme": CENTRAL, "slots": 300}
    summary = airtoll.run(settings, folder=tmp_path / "run", placement="in-process")
    assert summary["metrics"]["collisions"] == 0
    assert summary["metrics"]["throughput"] > 0.2
    per_node_slot = {kind: toll["note_bytes"] / (300 * 4) for kind, toll in summary["toll"].items()}
    assert per_node_slot == {"csi": 2, "decision": 1}


def test_the_drawing_of_the_page_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    indented = next(text for text in blocks("add-a-world.md") if text.startswith("    def render"))
    names: dict[str, Any] = {"State": object} | vars(drawing)
    exec(textwrap.dedent(indented), names)
    monkeypatch.setattr(
        import_module("channel_server.worlds.slotted_aloha").Channel, "render", names["render"], raising=False
    )
    world = catalogue.worlds()[WORLD]
    check_drawing(world.build(world.params(), seed=1, replicas=2))


def test_a_scheme_in_another_world_is_rejected_with_its_own_world() -> None:
    with pytest.raises(ConfigError, match=WORLD):
        load(_polite() | {"world": "conflict_graph"})
