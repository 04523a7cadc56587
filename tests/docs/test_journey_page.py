"""docs/journey-of-a-slot.md: its messages are those of its run, its stations are there."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import airtoll
from airtoll.analysis.frames import frames_of
from airtoll.cli.tables import toll
from controller.config.layers import parse_yaml
from controller.run_folder.folder import RunFolder
from protocol.accounting.toll import Toll
from tests.docs.pages import DOCS, block, page

PAGE = "journey-of-a-slot.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's run."""
    at = tmp_path_factory.mktemp("journey") / "run"
    airtoll.run(parse_yaml(block(PAGE, "# slot.yaml")), folder=at, placement="in-process")
    return at


def _shown() -> list[str]:
    return [line for line in page(PAGE).splitlines() if re.match(r"(up  |down) \S+: ", line)]


def test_every_message_crossed_in_this_order(folder: Path) -> None:
    lines = map(str, frames_of(folder))
    assert len(_shown()) > 10
    for shown in _shown():
        pattern = re.escape(shown).replace(re.escape("..."), ".*")
        assert any(re.fullmatch(pattern, line) for line in lines), shown


def test_the_toll_is_the_runs(folder: Path) -> None:
    tolls = RunFolder.open(folder).toll.by("kind")
    shown = [line.split() for line in block(PAGE, "$ airtoll toll DIR").splitlines()]
    for kind, told in tolls.items():
        assert [line[1:4] for line in shown if line[:1] == [kind]] == [_counts(told)]
    summed = toll({kind: _as_dict(told) for kind, told in tolls.items()}, by="kind", slots=1, agents=2)
    assert list(summed.columns[4].cells) == [line[4] for line in shown if line[:1] in (["csi"], ["decision"], ["all"])]


def _as_dict(told: Toll) -> dict[str, int]:
    return {"notes": told.notes, "note_bytes": told.note_bytes, "payload_bits": told.payload_bits}


def _counts(told: Toll) -> list[str]:
    return [str(count) for count in _as_dict(told).values()]


def test_the_row_of_the_air_book(folder: Path) -> None:
    row = next(iter(RunFolder.open(folder).air_rows()))
    told = f"slot {row.slot}, turn {row.turn}, source {row.source}, to {row.to}, {row.link.name}, {row.kind.name}"
    said = f"attempt {row.attempt}, {row.outcome.name}, {row.payload_bits} payload bits, {row.note_bytes} bytes, 1 copy"
    assert f"{told}, {said}".lower() in page(PAGE)


STATIONS = {
    "controller.execution.processes": ["NodeProcesses"],
    "channel_server.core": ["ChannelServer._hello", "ChannelServer._reply"],
    "channel_server.gate": ["Gate.accept", "Gate.answers"],
    "channel_server.relay": ["Relay.post"],
    "channel_server.slots": [f"Slots._{name}" for name in ("one_slot", "ask", "close", "tell", "act_for")]
    + ["Slots._transmit", "Slots._book", "Slots._closing"],
    "channel_server.worlds.contract": ["World.begin", "World.report", "World.transmit"],
    "agent_node.session": ["Session._welcome"],
    "agent_node.edge": ["run_node"],
    "agent_node.core": ["Node.turn"],
    "schemes.li2020.greedy_central": ["Teller.answer", "Placer.answer"],
}


@pytest.mark.parametrize("module", STATIONS)
def test_the_stations_are_there(module: str) -> None:
    for station in STATIONS[module]:
        found: object = import_module(module)
        for name in station.split("."):
            found = getattr(found, name)
        assert f"`{station}`" in page(PAGE)


@pytest.mark.parametrize("name", ["../README.md", *sorted(str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md"))])
def test_links_lead_somewhere_and_files_are_there(name: str) -> None:
    text = re.sub(r"^```\w*\n.*?^```$", "", page(name), flags=re.MULTILINE | re.DOTALL)
    root, here = DOCS.parent, (DOCS / name).parent
    for link in re.findall(r"\]\((?!https:)([^)#]+)\)", text):
        assert (here / link).exists(), link
    rooms = r"`((?:protocol|channel_server|agent_node|schemes|controller|airtoll|tests|examples|benchmarks)/[\w./-]+)`"
    made_on_the_pages = ("slotted_aloha", "aloha1970")
    for path in re.findall(rooms, text):
        assert (root / path).exists() or any(made in path for made in made_on_the_pages), path
