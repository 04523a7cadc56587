"""A whole controller with its index in PostgreSQL."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from airtoll.cli.commands import app
from airtoll.client import ControllerError
from tests.postgres import PostgresServer
from tests.system.service import CELL, LONG, serving


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


def test_a_database_has_one_controller(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.database()
    with serving(tmp_path / "one", AIRTOLL_DB=url):
        words = ["serve", "--port", "0", "--data", str(tmp_path / "two")]
        result = CliRunner().invoke(app, words, env={"AIRTOLL_DB": url})
    assert result.exit_code == 2
    assert f"the index of the runs in {tmp_path / 'one'}; give each data folder a database" in result.stderr
