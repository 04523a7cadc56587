"""`airtoll keys`, and `airtoll node` for an encrypted run."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import zmq
from typer.testing import CliRunner, Result

from airtoll.cli.commands import app
from protocol.transports.keys import Keys
from protocol.transports.router import Router
from tests.airtoll.folders import finished


def _call(*words: object) -> Result:
    return CliRunner().invoke(app, ["keys", *(str(word) for word in words)])


def _shown(folder: Path) -> dict[str, object]:
    shown: dict[str, object] = json.loads(_call("show", folder, "--format", "json").stdout)
    return shown


def test_keys_are_made_shown_allowed_and_revoked(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    assert _call("make", here).exit_code == 0
    there.mkdir()
    (there / "server.key").write_bytes((here / "server.key").read_bytes())
    assert _call("make", there).exit_code == 0
    assert _call("allow", here, there / "node.key", "--as", "attic").exit_code == 0
    keys = {name: Keys(folder).public("node").decode() for name, folder in (("node", here), ("attic", there))}
    server = Keys(here).public("server").decode()
    assert _shown(here) == {"server": server, "node": keys["node"], "allowed": keys, "bound": {}}
    assert _shown(there) == {"server": server, "node": keys["attic"], "allowed": {}, "bound": {}}
    assert _call("revoke", here, "attic").stdout == _call("show", here).stdout
    assert list(Keys(here).allowed()) == ["node"]


def test_no_command_prints_a_secret(tmp_path: Path) -> None:
    outputs = [_call("make", tmp_path).output, _call("show", tmp_path).output, _call("revoke", tmp_path, "node").output]
    keys = Keys.read(tmp_path)
    for secret in (keys.server().secret, keys.client().secret):
        assert not any(secret.decode() in output for output in outputs)


@pytest.mark.parametrize(
    "words", [["show", "nowhere"], ["revoke", "nowhere", "node"], ["allow", "nowhere", "node.key"]]
)
def test_a_folder_without_keys_is_reported_with_how_to_make_them(words: list[str]) -> None:
    result = _call(*words)
    assert (result.exit_code, result.output) == (
        2,
        "nowhere has no server.key: create keys (airtoll keys make nowhere), or copy it there\n",
    )


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (
            ["--keys", "others"],
            "this node's key is not on the channel server's list: add it there (airtoll keys allow",
        ),
        ([], "the channel server closed the connection during the handshake: if it requires keys"),
    ],
)
def test_a_rejected_node_exits_with_the_reason(tmp_path: Path, given: list[str], reason: str) -> None:
    keys, others = Keys.make(tmp_path / "keys"), tmp_path / "others"
    others.mkdir()
    (others / "server.key").write_bytes((keys.folder / "server.key").read_bytes())
    Keys.make(others)
    with zmq.Context() as context, Router(context, "tcp://127.0.0.1:*", keys=keys.server()) as router:
        folder = _running(tmp_path / "run", router.endpoint)
        command = [sys.executable, "-m", "airtoll", "node", str(folder), "pair-0", *given]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert done.returncode == 1
    assert reason in done.stderr


def _running(folder: Path, endpoint: str) -> Path:
    """A run's folder whose meta has a run that is RUNNING at the endpoint."""
    path = finished(folder).path / "meta.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "RUNNING", "endpoint": endpoint}))
    return path.parent
