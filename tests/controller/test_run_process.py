"""A run process executes its run once, also when it starts late or after another one, and reports its status."""

import subprocess
import sys
from pathlib import Path

import pytest

from controller.config.resolved import load
from controller.execution.controls import NO_CONTROLS
from controller.pool.leased_workers import Ports
from controller.run_folder.reader import RunFolder
from controller.run_folder.status import RunStatus, State
from controller.run_folder.writer import RunWriter
from controller.run_process import RunProcess
from protocol.messages.telemetry import Event, Progress
from tests.system.service import CELL

SMALL = CELL | {"slots": 20}


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    return RunWriter.create(load(SMALL), at=tmp_path / "run").folder


def _execute(folder: RunFolder) -> RunStatus | None:
    subprocess.run([sys.executable, "-m", "controller.run_process", str(folder.path)], check=True, capture_output=True)
    return RunStatus.read(folder.path)


def test_a_run_process_executes_its_run(folder: RunFolder) -> None:
    assert _execute(folder) == RunStatus(State.SUCCEEDED, 20)


@pytest.mark.parametrize("end", [RunStatus(State.SUCCEEDED, 20), RunStatus(State.FAILED, 3, "out of memory")])
def test_a_run_process_that_starts_after_the_end_changes_nothing(folder: RunFolder, end: RunStatus) -> None:
    end.write(folder.path)
    assert _execute(folder) == end
    assert folder.read("trace.bin") == b""


def test_a_run_whose_process_died_is_not_restarted_over_its_files(folder: RunFolder) -> None:
    RunStatus(State.RUNNING, 7).write(folder.path)
    (folder.path / "trace.bin").write_bytes(b"of the run process that was lost")
    status = _execute(folder)
    assert status is not None
    assert status.state is State.FAILED
    assert "no checkpoint to resume from" in status.reason
    assert folder.read("trace.bin") == b"of the run process that was lost"


def test_the_status_names_the_baseline_that_is_running(tmp_path: Path) -> None:
    baselines = ["li2020/best_own_rb", "li2020/random"]
    writer = RunWriter.create(load(SMALL | {"baselines": baselines, "placement": "in-process"}), at=tmp_path / "run")
    seen: list[str] = []

    class Watched(RunProcess):
        def _set_status(self, status: RunStatus) -> None:
            super()._set_status(status)
            written = RunStatus.read(self._path)
            seen.append(written.waiting if written else "")

    Watched(writer.path, NO_CONTROLS, Ports(), None, resume=False).execute()
    waiting = [line for line in dict.fromkeys(seen) if line]
    assert waiting[0] == "baseline 1 of 2: li2020/best_own_rb, slot 0 of 20"
    assert waiting[-1] == "baseline 2 of 2: li2020/random, slot 20 of 20"
    assert {line.partition(",")[0] for line in waiting} == {
        f"baseline {n} of 2: {s}" for n, s in enumerate(baselines, 1)
    }
    assert [row["scheme"] for row in RunFolder(writer.path).summary["comparison"]] == [*baselines, "li2020/sla"]
    assert RunStatus.read(writer.path) == RunStatus(State.SUCCEEDED, 20)


def test_the_status_has_the_remarks_on_the_results_so_far(folder: RunFolder) -> None:
    process = RunProcess(folder.path, NO_CONTROLS, Ports(), None, resume=False)
    process.execute()
    assert process._writer is not None
    process._writer(Event("lost", 7, 0, "pair-1", "gone"))
    process._watch(Progress(9, "REPLIES", [], 0))
    status = RunStatus.read(folder.path)
    assert status is not None
    assert status.remarks == "pair-1 is lost since slot 7: its fallback acts"


@pytest.mark.parametrize(
    ("progress", "waiting"),
    [
        (Progress(7, "REPLIES", ["pair-0"], 1), ""),
        (Progress(7, "LOST_NODES", ["pair-1"], 1), "waits for lost nodes to come back: pair-1"),
        (Progress(0, "NODES_TO_JOIN", ["pair-0", "pair-1"], 5), "waits for nodes to join: pair-0, pair-1, 3 more"),
    ],
)
def test_the_status_names_what_a_run_waits_for(folder: RunFolder, progress: Progress, waiting: str) -> None:
    RunProcess(folder.path, NO_CONTROLS, Ports(), None, resume=False)._watch(progress)
    status = RunStatus.read(folder.path)
    assert status is not None
    assert (status.slot, status.waiting) == (progress.slot, waiting)
