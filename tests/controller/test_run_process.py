"""A run process that comes late, or after another, carries out nothing twice."""

import subprocess
import sys
from pathlib import Path

import pytest

from controller.config.resolved import load
from controller.run_folder.reader import RunFolder
from controller.run_folder.status import RunStatus, State
from controller.run_folder.writer import RunWriter
from tests.system.service import CELL

SMALL = CELL | {"slots": 20}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunWriter.create(load(SMALL), at=tmp_path / "run").folder


def _keep(folder: RunFolder) -> RunStatus | None:
    subprocess.run([sys.executable, "-m", "controller.run_process", str(folder.path)], check=True, capture_output=True)
    return RunStatus.read(folder.path)


def test_a_keeper_carries_out_its_run(folder: RunFolder) -> None:
    assert _keep(folder) == RunStatus(State.SUCCEEDED, 20)


@pytest.mark.parametrize("end", [RunStatus(State.SUCCEEDED, 20), RunStatus(State.FAILED, 3, "it rained")])
def test_a_keeper_that_comes_after_the_end_leaves_the_run_alone(folder: RunFolder, end: RunStatus) -> None:
    end.write(folder.path)
    assert _keep(folder) == end
    assert folder.read("trace.bin") == b""


def test_a_run_whose_keeper_was_lost_is_not_begun_on_top_of_what_it_left(folder: RunFolder) -> None:
    RunStatus(State.RUNNING, 7).write(folder.path)
    (folder.path / "trace.bin").write_bytes(b"of the run process that was lost")
    status = _keep(folder)
    assert status is not None
    assert status.state is State.FAILED
    assert "no checkpoint to resume from" in status.reason
    assert folder.read("trace.bin") == b"of the run process that was lost"
