"""An encrypted pool: workers have keys of their own, and the controller's secret key stays with it."""

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
from tests.system.pool import TIMEOUT_S, WorkerProcesses
from tests.system.service import CELL, Service

NODES_FILES = ("node.key", "node.key_secret", "server.key")


class EncryptedPool(NamedTuple):
    """Workers, a controller, and a folder whose `house` has all keys and whose `nodes` has a node's."""

    pool: WorkerProcesses
    service: Service
    folder: Path


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EncryptedPool]:
    """Capacity for one run of three pairs; the workers have a node's files only."""
    folder = tmp_path_factory.mktemp("locked")
    house = Keys.make(folder / "house").folder
    (folder / "nodes").mkdir()
    for name in NODES_FILES:
        shutil.copy(house / name, folder / "nodes")
    pool = WorkerProcesses(folder)
    try:
        pool.start("channel", "--keys", str(folder / "nodes"))
        pool.start("agent", "--capacity", "3", "--keys", str(folder / "nodes"))
        with pool.serving("--keys", str(house)) as service:
            yield EncryptedPool(pool, service, folder)
    finally:
        pool.close()


@pytest.mark.parametrize("config", [CELL, CELL | {"scheme": "li2020/greedy_central"}], ids=["agents", "and a trainer"])
def test_a_run_in_an_encrypted_pool_has_the_trace_of_one_process(
    there: EncryptedPool, tmp_path: Path, config: dict[str, Any]
) -> None:
    service = there.service
    run = service.client.wait(service.client.submit(config | {"placement": "pool"})["id"])
    assert (run["state"], run["reason"]) == ("SUCCEEDED", "")
    alone = airtoll.run(config, folder=tmp_path / "run", placement="in-process")
    assert run["trace_digest"] == alone["trace_digest"]
    _check_encrypted(Path(run["folder"]))


def _check_encrypted(folder: Path) -> None:
    """Every frame of the run's own connections is longer by CURVE's 33 bytes and ZeroMQ's 2 at least."""
    accounts = json.loads((folder / "wire_book.json").read_text())
    assert accounts
    for leg in (account[way] for account in accounts for way in ("up", "down")):
        assert leg["framing_bytes"] > 35 * leg["frames"] > 0


def test_a_worker_that_is_not_on_the_list_exits_and_is_counted(there: EncryptedPool, tmp_path: Path) -> None:
    shutil.copy(there.folder / "house" / "server.key", tmp_path)
    other = there.pool.start("agent", "--keys", str(Keys.make(tmp_path).folder))
    assert other.process.wait(timeout=TIMEOUT_S) == 1
    assert "rejected this worker: its key is not on the server's list" in other.log
    with urllib.request.urlopen(f"{there.service.url}/metrics", timeout=TIMEOUT_S) as answer:
        assert f'airtoll_pool_rejected_connections{{reason="{NOT_ON_THE_LIST}"}} 1.0' in answer.read().decode()


def test_a_worker_without_keys_exits_with_a_reason(there: EncryptedPool) -> None:
    bare = there.pool.start("agent")
    assert bare.process.wait(timeout=TIMEOUT_S) == 1
    assert "one end has keys and the other has none: give both, or none" in bare.log


@pytest.mark.parametrize("words", [("agent",), ("channel",)])
def test_missing_keys_are_reported(there: EncryptedPool, tmp_path: Path, words: tuple[str, ...]) -> None:
    worker = there.pool.start(*words, "--keys", str(tmp_path / "none"))
    assert worker.process.wait(timeout=TIMEOUT_S) == 2
    assert "--keys: " in worker.log
    assert "has no server.key: create keys" in worker.log


def test_a_controller_without_the_servers_secret_key_does_not_start(there: EncryptedPool, tmp_path: Path) -> None:
    words = ["serve", "--data", str(tmp_path), "--port", "0", "--pool", "tcp://127.0.0.1:*"]
    result = CliRunner().invoke(app, [*words, "--keys", str(there.folder / "nodes")])
    assert result.exit_code == 2
    assert "has no server.key_secret" in result.stderr
