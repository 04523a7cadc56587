"""A pool that is locked: workers come with keys, and the controller's secret stays with it."""

import json
import shutil
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from typer.testing import CliRunner

import airtoll
from airtoll.cli.commands import app
from protocol.transports.keys import Keys
from protocol.transports.router import NOT_ON_THE_LIST
from tests.system.pool import TIMEOUT_S, Pool
from tests.system.service import CELL, Service

NODES_FILES = ("node.key", "node.key_secret", "server.key")


class There(NamedTuple):
    """Workers, a controller, and the folder in which `house` has all keys, `nodes` those of a node."""

    pool: Pool
    service: Service
    folder: Path


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[There]:
    """Room for one run of three pairs, whose workers have a node's files and no others."""
    folder = tmp_path_factory.mktemp("locked")
    house = Keys.make(folder / "house").folder
    (folder / "nodes").mkdir()
    for name in NODES_FILES:
        shutil.copy(house / name, folder / "nodes")
    pool = Pool(folder)
    try:
        pool.start("channel", "--keys", str(folder / "nodes"))
        pool.start("agent", "--capacity", "3", "--keys", str(folder / "nodes"))
        with pool.serving("--keys", str(house)) as service:
            yield There(pool, service, folder)
    finally:
        pool.close()


@pytest.mark.parametrize("config", [CELL, CELL | {"scheme": "li2020/greedy_central"}], ids=["agents", "and a trainer"])
def test_a_run_on_a_locked_pool_has_the_trace_of_one_process(
    there: There, tmp_path: Path, config: dict[str, Any]
) -> None:
    service = there.service
    run = service.client.wait(service.client.submit(config | {"placement": "pool"})["id"])
    assert (run["state"], run["reason"]) == ("SUCCEEDED", "")
    alone = airtoll.run(config, folder=tmp_path / "run", placement="in-process")
    assert run["trace_digest"] == alone["trace_digest"]
    _check_sealed(Path(run["folder"]))


def _check_sealed(folder: Path) -> None:
    """Every frame of the run's own connections is longer by CURVE's 33 bytes and ZeroMQ's 2 at least."""
    accounts = json.loads((folder / "wire_book.json").read_text())
    assert accounts
    for leg in (account[way] for account in accounts for way in ("up", "down")):
        assert leg["framing_bytes"] > 35 * leg["frames"] > 0


def test_who_is_not_on_the_list_ends_and_is_counted(there: There, tmp_path: Path) -> None:
    shutil.copy(there.folder / "house" / "server.key", tmp_path)
    other = there.pool.start("agent", "--keys", str(Keys.make(tmp_path).folder))
    assert other.process.wait(timeout=TIMEOUT_S) == 1
    assert "rejected this worker: its key is not on the list there" in other.log
    with urllib.request.urlopen(f"{there.service.url}/metrics", timeout=TIMEOUT_S) as answer:
        assert f'airtoll_pool_turned_away{{reason="{NOT_ON_THE_LIST}"}} 1.0' in answer.read().decode()


def test_who_has_no_keys_ends_and_says_so(there: There) -> None:
    bare = there.pool.start("agent")
    assert bare.process.wait(timeout=TIMEOUT_S) == 1
    assert "one end has keys and the other has none: give both, or none" in bare.log


@pytest.mark.parametrize("words", [("agent",), ("channel",)])
def test_keys_that_are_not_there_are_named(there: There, tmp_path: Path, words: tuple[str, ...]) -> None:
    worker = there.pool.start(*words, "--keys", str(tmp_path / "none"))
    assert worker.process.wait(timeout=TIMEOUT_S) == 2
    assert "--keys: " in worker.log
    assert "has no server.key: make keys" in worker.log


def test_a_controller_without_the_servers_secret_does_not_start(there: There, tmp_path: Path) -> None:
    words = ["serve", "--data", str(tmp_path), "--port", "0", "--pool", "tcp://127.0.0.1:*"]
    result = CliRunner().invoke(app, [*words, "--keys", str(there.folder / "nodes")])
    assert result.exit_code == 2
    assert "has no server.key_secret" in result.stderr
