"""A disk that is full: what a controller and a run do meanwhile, and afterwards.

The disk is full for one process by its limit on the size of files (RLIMIT_FSIZE): it needs no privileges.
"""

import json
import os
import pty
import resource
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from airtoll.client import ControllerError
from controller.run_folder.meta import RunMeta
from controller.run_folder.status import State
from controller.service.run_process_handle import RunProcessHandle
from tests.system.processes import until
from tests.system.service import CELL, LONG, Service, serving

WITHIN_S = 100.0  # each wait


def _not_ready(service: Service) -> str:
    """Why the service is not ready; "" if it is."""
    try:
        urllib.request.urlopen(f"{service.url}/readyz", timeout=WITHIN_S).close()
    except urllib.error.HTTPError as error:
        with error:
            return str(json.load(error)["detail"])
    return ""


def _until_readiness(service: Service, is_reached: Callable[[str], bool]) -> str:
    """What `_not_ready` returns as soon as this is true of it."""
    reasons: list[str] = []

    def reached() -> bool:
        reasons.append(_not_ready(service))
        return is_reached(reasons[-1])

    until(reached, within_s=WITHIN_S)
    return reasons[-1]


def test_a_run_that_is_lost_while_nothing_can_be_written_is_recorded_afterwards(tmp_path: Path) -> None:
    """And the queue waits until the next run can write its results."""
    with serving(tmp_path) as served:
        first, second = (served.client.submit(config)["id"] for config in (LONG, CELL))
        served.until(first, lambda run: run["slot"] > 0)
        pid = served.process.pid
        before = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, before[1]))
        process = RunProcessHandle.find(tmp_path / "runs" / first)
        assert process is not None
        process.send_signal(signal.SIGKILL)
        process.close()
        reason = _until_readiness(
            served, lambda reason: "background tasks that fail: 1" in reason
        )  # the run's follower
        assert "the database cannot be written" in reason
        with pytest.raises(ControllerError) as refused:
            served.client.submit(CELL)
        assert refused.value.status in (503, 507)
        assert {path.name for path in (tmp_path / "runs").iterdir()} == {first, second}
        resource.prlimit(pid, resource.RLIMIT_FSIZE, before)
        ended = served.client.wait(first)
        assert ended["state"] == "FAILED"
        assert "died without reporting an end (signal 9)" in ended["reason"]
        assert served.client.wait(second)["state"] == "SUCCEEDED"
        _until_readiness(served, lambda reason: reason == "")


def _command(tmp_path: Path) -> list[str]:
    (tmp_path / "cell.yaml").write_text(json.dumps(LONG))
    return [sys.executable, "-m", "airtoll", "run", str(tmp_path / "cell.yaml"), "--out", str(tmp_path / "run")]


def test_a_run_on_a_full_disk_has_failed(tmp_path: Path) -> None:
    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    result = subprocess.run(_command(tmp_path), preexec_fn=fill, capture_output=True, text=True)
    assert (result.returncode, result.stderr.splitlines()[-1:]) == (1, ["[Errno 27] File too large"])
    meta = RunMeta.read(tmp_path / "run")
    assert (meta.state, meta.reason) == (State.FAILED, "OSError: [Errno 27] File too large")
    assert not (tmp_path / "run" / ".reserve").exists()


def test_a_run_whose_output_nobody_reads_any_more_has_ended(tmp_path: Path) -> None:
    """airtoll run FILE 2>&1 | head -1"""
    config: dict[str, Any] = CELL | {"slots": 5_000}
    command = _command(tmp_path)
    (tmp_path / "cell.yaml").write_text(json.dumps(config))
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.wait(WITHIN_S) == 1
    meta = RunMeta.read(tmp_path / "run")
    assert (meta.state, "the output was closed" in meta.reason) == (State.FAILED, True)


def test_a_run_whose_terminal_is_closed_has_ended(tmp_path: Path) -> None:
    """Its leader gets SIGHUP, and nothing can be printed any more."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        _command(tmp_path), stdin=terminal, stdout=terminal, stderr=terminal, start_new_session=True
    ) as process:
        os.close(terminal)
        while not (tmp_path / "run" / "metrics.csv").exists():  # the run has begun
            os.read(controller, 4096)
        os.close(controller)
        process.send_signal(signal.SIGHUP)
        process.wait(WITHIN_S)
    meta = RunMeta.read(tmp_path / "run")
    assert meta.state in (State.STOPPED, State.FAILED)
    assert meta.reason
