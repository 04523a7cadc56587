"""Killed runs that are resumed: by the command line, with real processes."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml

import airtoll
from controller.config.resolved import load
from controller.execution.processes import NodeProcesses
from controller.run_folder.reader import RunFolder
from controller.run_folder.writer import RunWriter
from protocol.accounting.wire_book import Connection, totals
from tests.recording import Checkpointed, assert_same_trace, in_process, plan_for
from tests.soak import chaos
from tests.system.processes import at_slot, play, recorded

RUN: dict[str, Any] = {
    "world": {"name": "d2d_underlay", "pairs": 4},
    "scheme": "li2020/sla",
    "slots": 3000,
    "checkpoint_every": 400,
}


def _airtoll(*words: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "airtoll", *map(str, words)], capture_output=True, text=True, timeout=200
    )


def _killed_run(tmp_path: Path, **changes: Any) -> Path:
    """A run whose every process was killed after its first checkpoints."""
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(RUN | changes), "utf-8")
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "airtoll", "run", str(tmp_path / "run.yaml"), "--out", str(folder)]
    nowhere = subprocess.DEVNULL
    with subprocess.Popen(command, start_new_session=True, stdout=nowhere, stderr=nowhere) as process:
        deadline = time.monotonic() + 90
        while not (folder / "checkpoints" / "800").exists() and time.monotonic() < deadline:
            os.sched_yield()
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
    return folder


def _whole_run(tmp_path: Path) -> RunFolder:
    airtoll.run(RUN, folder=tmp_path / "whole", placement="in-process", checkpoint_every=0)
    return RunFolder.open(tmp_path / "whole")


def test_a_run_resumed_after_a_kill_of_everything_has_the_same_trace(tmp_path: Path) -> None:
    folder, whole = _killed_run(tmp_path), _whole_run(tmp_path)
    newest, before = RunFolder.open(folder).checkpoints.slots
    state = folder / "checkpoints" / str(newest) / "node-1"
    state.write_bytes(state.read_bytes()[:-1] + b"?")
    resumed = _airtoll("resume", folder)
    assert resumed.returncode == 0, resumed.stderr
    assert f"the checkpoint at slot {newest} is rejected: {state}" in resumed.stderr
    assert f"resuming at slot {before}" in resumed.stderr
    again = RunFolder.open(folder)
    for file in ("trace.bin", "air_book.msgpack", "metrics.csv"):
        assert again.read(file) == whole.read(file)
    assert (again.summary["slots"], again.summary["resumes"]) == (3000, 1)
    _check_books(again)
    assert _airtoll("replay", folder).returncode == 0
    done = _airtoll("resume", folder)
    assert done.returncode == 2
    assert done.stderr == f"{folder}: the run is SUCCEEDED; `airtoll replay {folder}` repeats it\n"


def _check_books(folder: RunFolder) -> None:
    """The connections of both parts of the run together carried what the air book has."""
    connections = msgspec.json.decode(folder.read("wire_book.json"), type=list[Connection])
    assert [c.peer for c in connections] != sorted({c.peer for c in connections})  # two of each
    assert sum(c.down.notes for c in connections) == sum(row.copies for row in folder.air_rows())
    assert folder.summary["wire"] == msgspec.to_builtins(totals(connections))


def test_neither_a_running_run_nor_one_without_checkpoints_is_resumed(tmp_path: Path) -> None:
    writer = RunWriter.create(load(RUN), at=tmp_path / "a")
    folder = writer.folder
    none = _airtoll("resume", folder.path)
    assert (none.returncode, "no checkpoint to resume from; `airtoll run" in none.stderr) == (2, True)
    folder.checkpoints.write(400, channel_server=b"", nodes=[], files=[], keep=2)
    elsewhere = _airtoll("resume", folder.path, "--from", 800)
    assert elsewhere.stderr == "--from 800 is not allowed: checkpoints lie at slots 400\n"
    with writer.locked():
        busy = _airtoll("resume", folder.path)
    assert (busy.returncode, "the run is running; wait for its end" in busy.stderr) == (2, True)


@pytest.mark.parametrize("scheme", ["li2020/sla", "li2020/greedy_central"])
def test_checkpoints_do_not_change_the_trace_of_a_run_in_processes(scheme: str) -> None:
    plan = plan_for(scheme, slots=60, checkpoint_every=20)
    with NodeProcesses(plan) as processes:
        kept = recorded(processes, Checkpointed())
    assert_same_trace(kept, in_process(plan_for(scheme, slots=60)))
    past, after = kept.pasts[-1]
    with NodeProcesses(plan, past=past) as processes:
        after = recorded(processes, after)
    assert_same_trace(kept, after)
    assert after.ended is not None
    assert kept.ended is not None
    assert len(after.ended.wire) == 2 * len(kept.ended.wire)


def _stop(name: str) -> Callable[[NodeProcesses], None]:
    def stop(processes: NodeProcesses) -> None:
        os.kill(processes.nodes[name].pid or 0, signal.SIGSTOP)

    return stop


def test_a_frozen_agent_is_restarted() -> None:
    on_node_loss = {"action": "restart", "lost_after_s": 3.0}  # longer than a busy machine keeps a node waiting
    plan = plan_for("li2020/sla", slots=2500, on_node_loss=on_node_loss)
    recording = play(plan, at_slot(50, _stop("pair-1")))
    assert recording.ended is not None
    assert recording.ended.state == "SUCCEEDED"
    events = [(e.event, e.node) for e in recording.events if e.event != "dropped"]
    assert events == [("lost", "pair-1"), ("restarted", "pair-1"), ("rejoined", "pair-1")]
    assert_same_trace(recording, in_process(msgspec.structs.replace(plan, replay=recording.past)))


def test_a_run_survives_a_few_kills_of_its_processes(tmp_path: Path) -> None:
    described = chaos.settings(3, seed=5, slots_per_kill=250)
    aftermath = chaos.run_with_kills(tmp_path, described, kills=2, seed=5)
    assert aftermath.faults == []
    assert len(aftermath.killed) == 2
