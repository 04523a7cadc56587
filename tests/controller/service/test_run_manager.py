"""The run manager after a crash: the runs that it finds, and the states that it gives them."""

import asyncio
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import pytest

from controller.config.errors import ConfigError
from controller.config.resolved import load
from controller.run_folder.status import FINAL_STATES, LOCK, RunStatus, State
from controller.run_folder.writer import RunWriter, set_state
from controller.service.data_folder import DataFolder
from controller.service.limits import STATUS_POLL_S
from controller.service.run_manager import NoSuchRunError, RunManager
from controller.service.run_process_handle import RunProcessHandle
from controller.service.settings import ServiceSettings
from controller.service.store import Run, Store
from tests.system.service import CELL, LONG

SHORT = CELL | {"slots": 20}
ENDS_WITHIN_S = 120.0  # each run

pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with closing(Store(f"sqlite:///{tmp_path / 'runs.db'}")) as opened:
        yield opened


def _found(
    data: Path, store: Store, *states: State, status: RunStatus | bytes | None = None, late: bool = False
) -> Run:
    """A run that an earlier service left in the last of these states, at its end; `status`: as its run process left it;
    `late`: left there after the manager has opened."""

    async def find() -> Run:
        manager = RunManager(ServiceSettings(data), store)
        run = await manager.submit(load(LONG))
        if isinstance(status, RunStatus):
            status.write(run.folder)
        elif status is not None:
            (run.folder / "status.json").write_bytes(status)
        if late:
            await manager.open()
        for state in states:
            assert store.move(run.id, state)
        if not late:
            await manager.open()
        run = await _at_its_end(manager, run)
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


@pytest.mark.parametrize("damaged", [b"", b"[]", b'{"state": "DANCING"}', b"\xff"])
def test_a_run_whose_status_cannot_be_read_is_lost(store: Store, tmp_path: Path, damaged: bytes) -> None:
    run = _found(tmp_path, store, State.RUNNING, status=damaged)
    assert run.state is State.FAILED
    assert "while no service was running; " in run.reason
    assert "status.json cannot be read: " in run.reason
    assert RunStatus.read(run.folder) == RunStatus(State.FAILED, 0, run.reason)


def test_waiting_runs_that_cannot_be_started_fail_alone(store: Store, tmp_path: Path) -> None:
    async def play() -> None:
        async with _manager(tmp_path, store) as manager:
            gone, unread, invalid, good = [await manager.submit(load(SHORT)) for _ in range(4)]
            shutil.rmtree(gone.folder)
            with closing(sqlite3.connect(tmp_path / "runs.db")) as database, database:
                database.execute("UPDATE runs SET config = '{damaged' WHERE id = ?", (unread.id,))
            (invalid.folder / "config.yaml").write_text(": :")
            await manager.open()
            gone, unread, invalid, good = [await _at_its_end(manager, run) for run in (gone, unread, invalid, good)]
            assert [run.state for run in (gone, unread, invalid)] == [State.FAILED] * 3
            assert gone.reason == f"its folder is gone: {gone.folder}"
            assert unread.reason == "it cannot be started: its stored configuration is damaged"
            assert "config.yaml, line 1: " in invalid.reason
            assert good.state is State.SUCCEEDED
            assert await manager.readiness.problem() == ""

    asyncio.run(play())


def test_a_run_whose_folder_is_gone_is_stopped_and_deleted(store: Store, tmp_path: Path) -> None:
    async def play() -> None:
        async with _manager(tmp_path, store) as manager:
            run = await manager.submit(load(SHORT))
            shutil.rmtree(run.folder)
            assert (await manager.stop(run.id)).state is State.STOPPED
            await manager.remove(run.id)
            with pytest.raises(NoSuchRunError):
                await manager.get(run.id)

    asyncio.run(play())


def test_of_two_deletions_at_once_one_succeeds(store: Store, tmp_path: Path) -> None:
    async def play() -> None:
        async with _manager(tmp_path, store) as manager:
            run = await manager.submit(load(SHORT))
            await manager.stop(run.id)
            outcomes = await asyncio.gather(*(manager.remove(run.id) for _ in range(4)), return_exceptions=True)
            assert sum(outcome is None for outcome in outcomes) == 1
            assert all(outcome is None or isinstance(outcome, NoSuchRunError) for outcome in outcomes)
            assert list((tmp_path / "runs").iterdir()) == []

    asyncio.run(play())


def test_runs_that_the_index_has_lost_are_found_in_the_data_folder(tmp_path: Path) -> None:
    """With their results; one that had begun and was lost has its end; one that waited is executed."""

    async def submitted() -> list[Run]:
        with closing(Store(f"sqlite:///{tmp_path / 'lost.db'}")) as store:
            async with _manager(tmp_path, store) as manager:
                done, cut_off, stopped, waiting = [await manager.submit(load(SHORT)) for _ in range(4)]
                for run in (cut_off, stopped, waiting):
                    await manager.stop(run.id)
                await manager.open()
                done = await _at_its_end(manager, done)
                for run in (cut_off, waiting):
                    set_state(run.folder, State.PENDING)
                RunStatus(State.RUNNING, 7).write(cut_off.folder)
                return [done, cut_off, stopped, waiting]

    async def play() -> None:
        done, cut_off, stopped, waiting = await submitted()
        RunWriter.create(load(SHORT | {"out": str(tmp_path / "runs")}), command=["airtoll", "run"])
        (tmp_path / "runs" / ".gone.deleted").mkdir()
        with closing(Store(f"sqlite:///{tmp_path / 'runs.db'}")) as store:
            async with _manager(tmp_path, store) as manager:
                await manager.open()
                again = await _at_its_end(manager, done)
                assert (again.state, again.slot, again.metrics) == (State.SUCCEEDED, done.slot, done.metrics)
                assert (again.trace_digest, again.config) == (done.trace_digest, done.config)
                assert (await _at_its_end(manager, cut_off)).state is State.FAILED
                assert (await _at_its_end(manager, stopped)).state is State.STOPPED
                assert (await _at_its_end(manager, waiting)).state is State.SUCCEEDED
                assert manager.store.page()[1] == 4
        assert not (tmp_path / "runs" / ".gone.deleted").exists()

    asyncio.run(play())


@asynccontextmanager
async def _manager(data: Path, store: Store) -> AsyncIterator[RunManager]:
    manager = RunManager(ServiceSettings(data), store)
    try:
        yield manager
    finally:
        await manager.close()


async def _at_its_end(manager: RunManager, run: Run) -> Run:
    async with asyncio.timeout(ENDS_WITHIN_S):
        while (run := await manager.get(run.id)).state not in FINAL_STATES:
            await asyncio.sleep(STATUS_POLL_S)  # run processes need the processor
    return run


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
