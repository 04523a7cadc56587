"""The page when things go wrong: no controller, no token, a run that failed, data that is out to do harm."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from controller.config.run_config import as_mapping, load
from controller.run_folder.folder import RunFolder
from controller.run_folder.status import State
from controller.service.store import Run, RunResults, Store
from tests.browser.pilot import Pilot
from tests.system.service import CELL, LONG, serving

_HARM = "<img src=x onerror=\"window.harmed = 1\"> & <b>bold</b> 'quoted' <script>window.harmed = 2</script>"


def test_a_lost_connection_is_told_and_comes_back_by_itself(pilot: Pilot, tmp_path: Path, port: int) -> None:
    with serving(tmp_path, "--port", str(port)) as served:
        pilot.url = served.url
        run_id = served.client.submit(LONG)["id"]
        pilot.open(f"#/runs/{run_id}")
        pilot.sees("running", ".run-head .badge")
        pilot.until(lambda: len(pilot.all(".map .pair")) == 3)
        pilot.script("window.kept = true")
        served.kill()
        pilot.sees("Connection lost", "#connection")
        with serving(tmp_path, "--port", str(port)) as again:
            before = pilot.text(".map-card h2")
            pilot.until(lambda: "Connection lost" not in pilot.text("#connection"))
            pilot.until(lambda: pilot.text(".map-card h2") != before)
            again.client.stop(run_id)
            pilot.sees("stopped", ".run-head .badge")
        assert pilot.script("return window.kept")


def test_a_token_is_asked_for_and_kept(pilot: Pilot, tmp_path: Path) -> None:
    with serving(tmp_path, AIRTOLL_TOKEN="open sesame") as served:
        pilot.url = served.url
        pilot.open()
        pilot.one("#token").send_keys("sesame")
        pilot.click("Enter", "dialog button")
        pilot.sees("did not take this token")
        pilot.click("Cancel", "dialog button")
        pilot.sees("This controller asks for a token")
        pilot.click("Enter the token")
        pilot.one("#token").send_keys("open sesame")
        pilot.click("Enter", "dialog button")
        pilot.sees("There are no runs yet.")
        run_id = served.client.submit(CELL)["id"]
        pilot.open(f"#/runs/{run_id}")
        pilot.sees("succeeded", ".run-head .badge")
        pilot.until(lambda: len(pilot.all(".map .pair")) == 3)
        assert pilot.all("dialog") == []


@pytest.mark.parametrize("run_id", ["fails-s1-0000", _HARM])
def test_data_does_no_harm(pilot: Pilot, tmp_path: Path, run_id: str) -> None:
    folder = RunFolder.create(load(CELL), at=tmp_path / "strange")
    folder.log(_HARM)
    store = Store(f"sqlite:///{tmp_path}/airtoll.db")
    config = as_mapping(folder.config)
    run = Run(
        id=run_id,
        state=State.RUNNING,
        world="d2d_underlay",
        scheme=_HARM[:80],
        seed=1,
        slots=300,
        config=config,
        folder=folder.path,
        created=datetime.now(UTC),
    )
    store.add(run)
    assert store.move(run_id, State.FAILED, results=RunResults(_HARM, 3, {_HARM: 1.0}))
    store.close()
    with serving(tmp_path) as served:
        pilot.url = served.url
        pilot.open()
        pilot.sees("onerror", ".list")
        pilot.sees("failed", ".list")
        if run_id != _HARM:  # such a name has no view of its own: REST refuses it
            pilot.click(run_id, ".list a")
            pilot.sees("Why it failed: <img src=x", ".run-head")
            pilot.sees("<script>", ".log")
        assert pilot.script("return window.harmed ?? null") is None
        assert pilot.all("img[src='x']") == []


def test_the_page_says_that_there_is_nothing_yet(pilot: Pilot, tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        pilot.url = served.url
        pilot.open()
        pilot.sees("There are no runs yet.")
        pilot.click("Start the first one")
        pilot.sees("Start the run")
