"""A whole controller with its index in PostgreSQL."""

import asyncio
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from email.message import Message
from pathlib import Path

import pytest
from typer.testing import CliRunner

from airtoll.cli.commands import app
from airtoll.client import ControllerError
from controller.service.limits import STORE_TIMEOUT_S
from controller.service.run_process_handle import RunProcessHandle
from tests.postgres import PostgresServer
from tests.system.processes import until
from tests.system.service import CELL, LONG, Service, serving

ANSWERS_WITHIN_S = 4 * STORE_TIMEOUT_S


def test_the_runs_of_a_killed_controller_are_found_again(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.database()
    with serving(tmp_path, AIRTOLL_DB=url) as served:
        done = served.client.wait(served.client.submit(CELL)["id"])
        assert (done["state"], done["slot"]) == ("SUCCEEDED", 300)
        run_id = served.client.submit(LONG)["id"]
        before = served.until(run_id, lambda run: run["slot"] > 0)
        served.kill()
        with serving(tmp_path, AIRTOLL_DB=url) as again:
            assert again.client.show(done["id"]) == done
            after = again.until(run_id, lambda run: run["slot"] > before["slot"])
            assert (after["state"], after["started"]) == ("RUNNING", before["started"])
            again.client.stop(run_id)
            assert again.client.wait(run_id)["state"] == "STOPPED"
    assert not (tmp_path / "airtoll.db").exists()


def test_no_run_is_lost_while_the_database_is_away(postgres: PostgresServer, tmp_path: Path) -> None:
    """Runs that end meanwhile are recorded afterwards, and the queue continues."""
    with serving(tmp_path, AIRTOLL_DB=postgres.database()) as served:
        first, second = (served.client.submit(CELL | {"slots": slots})["id"] for slots in (4000, 300))
        served.until_state(first, "RUNNING")
        postgres.stop()
        with pytest.raises(ControllerError, match="the database does not answer") as refused:
            served.client.show(first)
        assert refused.value.status == 503
        with pytest.raises(ControllerError, match="the database does not answer"):
            served.client.submit(CELL)
        assert {path.name for path in (tmp_path / "runs").iterdir()} == {first, second}
        postgres.start()
        for run_id, slots in ((first, 4000), (second, 300)):
            run = served.client.wait(run_id)
            assert (run["state"], run["slot"], bool(run["trace_digest"])) == ("SUCCEEDED", slots, True)


def test_a_frozen_database_keeps_nobody_waiting_and_the_page_is_served(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    with serving(tmp_path, AIRTOLL_DB=postgres.database()) as served, ThreadPoolExecutor(60) as threads:
        assert _answer(served, "/")[0] == 200
        with postgres.frozen():
            asked = [threads.submit(_answer, served, "/api/v2/runs") for _ in range(60)]  # more than there are threads
            for path in ("/", "/page/main.js", "/healthz"):
                assert _answer(served, path)[0] == 200
            answers = [call.result() for call in asked]
            assert {status for status, _ in answers} == {503}
            assert {headers["Retry-After"] for _, headers in answers} == {"10"}
            assert _answer(served, "/readyz")[0] == 503
        until(lambda: _answer(served, "/readyz")[0] != 503)
        assert _answer(served, "/api/v2/runs")[0] == 200


def test_a_run_that_ends_while_the_database_is_read_only_is_recorded_afterwards(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    with serving(tmp_path, AIRTOLL_DB=postgres.database()) as served:
        first, second = (served.client.submit(CELL | {"slots": slots})["id"] for slots in (1000, 300))
        served.until_state(first, "RUNNING")
        postgres.set_read_only(read_only=True)
        try:
            until(lambda: _answer(served, "/readyz")[0] == 503)
            with pytest.raises(ControllerError, match="read-only transaction"):
                served.client.submit(CELL)
            process = RunProcessHandle.find(tmp_path / "runs" / first)
            assert process is None or asyncio.run(process.gone(within_s=120))
            assert served.client.show(first)["state"] == "RUNNING"
        finally:
            postgres.set_read_only(read_only=False)
        assert [served.client.wait(run_id)["state"] for run_id in (first, second)] == ["SUCCEEDED"] * 2
        assert _answer(served, "/readyz")[0] == 200


def _answer(served: Service, path: str) -> tuple[int, Message]:
    """Status and headers."""
    try:
        with urllib.request.urlopen(served.url + path, timeout=ANSWERS_WITHIN_S) as answer:
            return answer.status, answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers


def test_a_database_has_one_controller(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.database()
    with serving(tmp_path / "one", AIRTOLL_DB=url):
        words = ["serve", "--port", "0", "--data", str(tmp_path / "two")]
        result = CliRunner().invoke(app, words, env={"AIRTOLL_DB": url})
    assert result.exit_code == 2
    assert f"the index of the runs in {tmp_path / 'one'}; give each data folder a database" in result.stderr
