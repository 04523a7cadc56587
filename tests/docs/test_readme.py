"""README.md: what it counts, what it lets one type, what it shows."""

import os
import re
import subprocess
import sys
from pathlib import Path

import airtoll
from airtoll.cli.commands import app
from controller.config.catalogue import schemes, worlds
from controller.config.layers import parse_yaml
from controller.config.resolved import load
from controller.run_folder.reader import RunFolder
from tests.docs.pages import DOCS, block, page, table

PAGE = "../README.md"
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")


def test_it_counts_worlds_and_schemes() -> None:
    told = re.search(r"there are (\w+)\s+worlds and (\w+) schemes: (\w+) learn, (\w+) are", page(PAGE))
    assert told is not None
    learn = sum(scheme.learns for scheme in schemes().values())
    counts = [len(worlds()), len(schemes()), learn, len(schemes()) - learn]
    assert [NUMBERS.index(word) for word in told.groups()] == counts
    assert {row[0] for row in table(PAGE, "scheme")} <= schemes().keys()


def test_every_command_is_named_and_there() -> None:
    named = set(re.findall(r"^ +(?:\w+=\S+ )?airtoll ([\w-]+)", page(PAGE), re.MULTILINE))
    assert named == {
        command.name or command.callback.__name__ for command in app.registered_commands if command.callback
    }


def test_the_trace_is_as_long_as_shown(tmp_path: Path) -> None:
    airtoll.run(parse_yaml(block(PAGE, "# mine.yaml")), folder=tmp_path / "run", placement="in-process")
    assert f"equal: {len(RunFolder.open(tmp_path / 'run').trace_rows())} rows of trace" in page(PAGE)


def test_the_run_that_learns_can_be_put_together() -> None:
    plan = load(parse_yaml(block(PAGE, "# learn.yaml"))).plan_for("page")
    assert [phase.name for phase in plan.phases] == ["warmup", "train", "eval"]


def test_the_python_on_it_runs(tmp_path: Path) -> None:
    code = block(PAGE, "import airtoll  # before numpy")
    shown = subprocess.run(
        [sys.executable, "-c", code],
        cwd=DOCS.parent,
        env=os.environ | {"AIRTOLL_OUT": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert [line.split()[0] for line in shown] == ["10", "20"]
    assert len(list(tmp_path.iterdir())) == 2


def test_the_rooms_are_there() -> None:
    rooms = re.findall(r"(\w+)/", " ".join(row[0] for row in table(PAGE, "folder")))
    assert len(rooms) == 9
    assert all((DOCS.parent / room).is_dir() for room in rooms)
