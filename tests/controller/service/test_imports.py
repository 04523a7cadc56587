"""Runs of `airtoll run` in a controller: imported from elsewhere, or found in its folder."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

import airtoll
from controller.config.errors import ConfigError
from controller.run_folder.reader import RunFolder
from controller.run_folder.status import State
from controller.run_folder.writer import set_state
from controller.service.run_manager import RunManager
from controller.service.settings import ServiceSettings
from controller.service.store import Run, Store
from controller.service.unknown_runs import import_runs
from tests.airtoll.folders import CELL, finished


def _indexed(data: Path, *imports: Path) -> list[Run]:
    """The runs in the index of a service that was started once."""

    async def play(store: Store) -> list[Run]:
        manager = RunManager(ServiceSettings(data, imports=imports), store)
        try:
            await manager.open()
            return manager.store.page()[0]
        finally:
            await manager.close()

    with closing(Store(f"sqlite:///{data / 'airtoll.db'}")) as store:
        return asyncio.run(play(store))


def test_imported_runs_are_in_the_index_with_their_results(tmp_path: Path) -> None:
    made = [airtoll.run(CELL, folder=tmp_path / "mine" / name, seed=seed) for name, seed in (("a", 3), ("b", 4))]
    (tmp_path / "data").mkdir()
    runs = {run.seed: run for run in _indexed(tmp_path / "data", tmp_path / "mine")}
    for summary in made:
        run = runs[summary["seed"]]
        assert (run.id, run.state, run.slot, run.slots) == (summary["run_id"], State.SUCCEEDED, 4, 4)
        assert (run.metrics, run.trace_digest) == (summary["metrics"], summary["trace_digest"])
        assert run.folder == tmp_path / "data" / "runs" / run.id
        assert (run.folder / "trace.bin").read_bytes()
    assert len(list((tmp_path / "mine").iterdir())) == 2  # they are copies
    assert len(_indexed(tmp_path / "data", tmp_path / "mine" / "a")) == 2  # once


def test_a_controller_lists_what_a_run_left_in_the_folder_they_share(tmp_path: Path) -> None:
    summary = airtoll.run(CELL, out=str(tmp_path / "runs"))
    (tmp_path / "runs" / "a-study").mkdir()
    [run] = _indexed(tmp_path)
    assert (run.id, run.metrics) == (summary["run_id"], summary["metrics"])


def test_a_run_that_has_not_ended_is_not_imported(tmp_path: Path) -> None:
    folder = finished(tmp_path / "mine")
    set_state(folder.path, State.RUNNING)
    assert import_runs([folder.path], tmp_path / "runs") == []
    set_state(folder.path, State.SUCCEEDED)
    assert import_runs([folder.path], tmp_path / "runs") == [RunFolder(folder.path).meta.run_id]


def test_a_folder_without_runs_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--import .*: no run's folder there"):
        import_runs([tmp_path], tmp_path / "runs")
