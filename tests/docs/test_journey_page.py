"""docs/journey-of-a-slot.md: its messages are those of its run, and the functions it names exist."""

import re
from importlib import import_module
from pathlib import Path

import pytest

import airtoll
from airtoll.analysis.frames import frames_of
from airtoll.cli.tables import toll
from controller.config.formats import parse_yaml
from controller.run_folder.reader import RunFolder
from protocol.accounting.toll import Toll
from tests.docs.pages import block, headings, page, states

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
        assert any(re.fullmatch(pattern, line) for line in lines), shown  # consumes `lines` as far as the match


def test_the_toll_is_the_runs(folder: Path) -> None:
    tolls = RunFolder.open(folder).toll.by("kind")
    text = block(PAGE, "$ airtoll toll DIR")
    shown = [line.split() for line in text.splitlines()]
    for kind, counted in tolls.items():
        assert [line[1:4] for line in shown if line[:1] == [kind]] == [_counts(counted)]
    summed = toll({kind: _as_dict(counted) for kind, counted in tolls.items()}, by="kind", slots=1, agents=2)
    assert headings(text, "kind") == [str(column.header) for column in summed.columns]
    assert list(summed.columns[4].cells) == [line[4] for line in shown if line[:1] in (["csi"], ["decision"], ["all"])]


def _as_dict(counted: Toll) -> dict[str, int]:
    return {"notes": counted.notes, "note_bytes": counted.note_bytes, "payload_bits": counted.payload_bits}


def _counts(counted: Toll) -> list[str]:
    return [str(count) for count in _as_dict(counted).values()]


def test_the_row_of_the_air_book(folder: Path) -> None:
    row = next(iter(RunFolder.open(folder).air_rows()))
    where = [f"slot {row.slot}", f"turn {row.turn}", f"source {row.source}", f"to {row.to}"]
    what = [row.link.name.lower(), row.kind.name.lower(), f"attempt {row.attempt}", row.outcome.name.lower()]
    sizes = [f"{row.payload_bits} payload bits", f"{row.note_bytes} bytes", f"{row.copies} copy"]
    assert states(PAGE, *where, *what, *sizes)


STATIONS = {
    "controller.execution.processes": ["NodeProcesses"],
    "channel_server.core": ["ChannelServer.hello", "ChannelServer.arrived"],
    "channel_server.gate": ["Gate.accept", "Gate.replies"],
    "channel_server.relay": ["Relay.post"],
    "channel_server.turn_sequence": [f"TurnSequence._{name}" for name in ("play_slot", "ask", "transmit", "close_run")]
    + ["TurnSequence._collect"],
    "channel_server.turn_exchange": [
        f"TurnExchange.{name}" for name in ("open", "close", "send_report", "fall_back", "book")
    ],
    "channel_server.attendance": ["Attendance.count_missed"],
    "channel_server.recorder": ["Recorder.slot_done"],
    "channel_server.worlds.contract": ["World.begin", "World.report", "World.transmit"],
    "agent_node.session": ["Session._welcome"],
    "agent_node.edge": ["run_node"],
    "agent_node.core": ["Node.turn"],
    "schemes.parts.central": ["Reporter.on_turn", "Decider.on_turn"],
}


@pytest.mark.parametrize("module", STATIONS)
def test_the_functions_exist(module: str) -> None:
    for station in STATIONS[module]:
        found: object = import_module(module)
        for name in station.split("."):
            found = getattr(found, name)
        assert f"`{station}`" in page(PAGE)
