"""docs/keys.md against the code: its commands in their order, its files, its reasons for rejections."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from airtoll.cli.commands import load
from protocol.transports.connections import ABOVE_THE_LIMIT, WITHOUT_A_FRAME
from protocol.transports.keys import Keys
from protocol.transports.router import FOR_ANOTHER_SERVER, NOT_ON_THE_LIST, WITHOUT_A_KEY
from tests.docs.pages import page, table

PAGE = "keys.md"
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which the page's commands ran, one after the other; their listings are the page's."""
    at = tmp_path_factory.mktemp("walked")
    for block in re.findall(r"^```console\n(.*?)^```$", page(PAGE), re.MULTILINE | re.DOTALL):
        for typed in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            command, _, shown = typed.partition("\n")
            printed = _type(command, at)
            if not command.startswith("airtoll"):
                assert printed == shown
    return at


def _type(command: str, at: Path) -> str:
    words = shlex.split(command)
    if words[0] == "airtoll":
        words = [sys.executable, "-m", *words]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(words, cwd=at, env=environment, capture_output=True, text=True, check=True).stdout


def test_the_commands_allow_the_keys_of_the_page(walked: Path) -> None:
    server, node = Keys.read(walked / "house" / "keys"), Keys.read(walked / "attic" / "keys")
    assert {name: allowed.key for name, allowed in server.allowed().items()} == {
        "attic-2": node.client().public,
        "node": server.client().public,
    }
    assert node.client().server == server.server().public


def test_the_files_are_those_of_the_page(walked: Path) -> None:
    listed = {row[0] for row in table(PAGE, "file")}
    folder = walked / "house" / "keys"
    there = {str(path.relative_to(folder)) for path in folder.rglob("*.key*")}
    assert {re.sub("allowed/.*", "allowed/NAME.key", name) for name in there} == listed


def test_every_command_is_listed() -> None:
    listed = re.findall(r"^    airtoll keys (\w+) ", page(PAGE), re.MULTILINE)
    keys = load("keys")
    assert listed == list(keys.commands)
    assert all(
        "--format" in [opt for option in command.params for opt in option.opts] for command in keys.commands.values()
    )


def test_every_reason_for_a_rejection_is_listed() -> None:
    counted = [NOT_ON_THE_LIST, FOR_ANOTHER_SERVER, WITHOUT_A_KEY]
    assert [row[0] for row in table(PAGE, "dropped as")] == [*counted, WITHOUT_A_FRAME, ABOVE_THE_LIMIT]
    assert {WITHOUT_A_FRAME, ABOVE_THE_LIMIT} <= {row[0] for row in table("protocol.md", "dropped as")}
    assert [row[0] for row in table("protocol.md", "dropped as") if row[0].startswith("connection with")][
        -3:
    ] == counted
