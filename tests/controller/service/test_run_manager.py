"""The run manager after a crash: the runs that it finds, and the states that it gives them."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from controller.config.errors import ConfigError
from controller.config.resolved import load
from controller.run_folder.status import FINAL_STATES, LOCK, RunStatus, State
from controller.service.data_folder import DataFolder
from controller.service.run_manager import RunManager
from controller.service.run_process_handle import RunProcessHandle
from controller.service.settings import ServiceSettings
from controller.service.store import Run, Store
from tests.system.service import LONG


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(f"sqlite:///{tmp_path / 'runs.db'}")) as opened:
        yield opened


def _found(data: Path, store: Store, *states: State, status: RunStatus | None = None, late: bool = False) -> Run:
    """A run that an earlier service left in the last of these states, at its end; `late`: left there after the manager
    has opened."""

    async def find() -> Run:
        manager = RunManager(ServiceSettings(data), store)
        run = await manager.submit(load(LONG))
        if status is not None:
            status.write(run.folder)
        if late:
            await manager.open()
        for state in states:
            assert store.move(run.id, state)
        if not late:
            await manager.open()
        async with asyncio.timeout(60):
            while (run := await manager.get(run.id)).state not in FINAL_STATES:
                await asyncio.sleep(0)
        await manager.close()
        return run

    return asyncio.run(find())


def test_a_run_that_was_to_stop_before_its_run_process_began_is_stopped(store: Store, tmp_path: Path) -> None:
    """A run process is started to stop it: the first one may still begin."""
    run = _found(tmp_path, store, State.RUNNING, State.STOPPING)
    assert (run.state, run.reason) == (State.STOPPED, "")
    status = RunStatus.read(run.folder)
    assert status is not None
    assert status.state is State.STOPPED


def test_the_end_of_a_run_whose_run_process_was_lost_is_written_to_its_folder(store: Store, tmp_path: Path) -> None:
    run = _found(tmp_path, store, State.RUNNING, status=RunStatus(State.RUNNING, 7))
    assert (run.state, run.slot) == (State.FAILED, 7)
    assert run.reason == "its run process died without reporting an end, while no service was running"
    assert RunStatus.read(run.folder) == RunStatus(State.FAILED, 7, run.reason)


def test_what_an_earlier_service_stored_late_is_found(store: Store, tmp_path: Path) -> None:
    run = _found(tmp_path, store, State.RUNNING, status=RunStatus(State.RUNNING, 7), late=True)
    assert (run.state, run.slot) == (State.FAILED, 7)


def test_no_final_status_is_written_while_a_run_process_is_alive(tmp_path: Path) -> None:
    end = RunStatus(State.FAILED, 7, "it rained")
    locked = f"f = open({str(tmp_path / LOCK)!r}, 'a+b'); fcntl.lockf(f, fcntl.LOCK_EX)"
    hold = f"import fcntl, sys; {locked}; print(flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert not RunProcessHandle.write_final_status(tmp_path, end)
        assert RunStatus.read(tmp_path) is None
        process.communicate()
    assert RunProcessHandle.write_final_status(tmp_path, end)
    assert RunStatus.read(tmp_path) == end


def test_a_data_folder_has_one_service_and_one_id(tmp_path: Path) -> None:
    refused = pytest.raises(ConfigError, match="is in use by another controller; give another folder")
    with closing(DataFolder(tmp_path / "data")) as first, refused:
        DataFolder(tmp_path / "data")
    (tmp_path / "data").rename(tmp_path / "moved")
    with closing(DataFolder(tmp_path / "moved")) as moved, closing(DataFolder(tmp_path / "data")) as other:
        assert moved.id == first.id != other.id
