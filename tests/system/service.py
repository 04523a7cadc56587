"""A controller in a process of its own, for tests."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from airtoll.client import Controller
from controller.service.run_process_handle import RunProcessHandle
from tests.system.processes import outlive

CELL: dict[str, Any] = {
    "world": {"name": "d2d_underlay", "pairs": 3, "rbs": 2},
    "scheme": "li2020/sla",
    "slots": 300,
    "placement": "in-process",
}
LONG = CELL | {"slots": 10**6}


class Service:
    """A controller that listens, and a client of it."""

    def __init__(self, process: "subprocess.Popen[str]", token: str) -> None:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening at "), line
        self.process = process
        self.url = line.removeprefix("listening at ").strip()
        self.client = Controller(self.url, token)

    def kill(self) -> None:
        """Kill it."""
        self.process.kill()
        self.process.wait()

    def until(self, run_id: str, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The run as soon as `reached` is true of it. AssertionError if it ends before."""
        for _ in self.client.watch(run_id):
            if reached(run := self.client.show(run_id)):
                return run
        raise AssertionError(self.client.show(run_id))

    def until_state(self, run_id: str, *states: str) -> dict[str, Any]:
        """The run as soon as it is in one of these states."""
        return self.until(run_id, lambda run: run["state"] in states)


@contextmanager
def serving(data: Path, *words: str, **environment: str) -> Iterator[Service]:
    """A controller with the data folder `data`; on exit neither it nor a run process is left."""
    process = subprocess.Popen(
        [sys.executable, "-m", "airtoll", "serve", "--port", "0", "--data", str(data), *words],
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Service(process, environment.get("AIRTOLL_TOKEN", ""))
    finally:
        process.kill()
        process.communicate()
        end_run_processes(data)


def end_run_processes(data: Path) -> None:
    """Kill the run processes that are alive in a data folder."""
    for folder in (data / "runs").glob("*"):
        if process := RunProcessHandle.find(folder):
            process.send_signal(signal.SIGKILL)
            process.close()
            assert outlive({process.pid}) == []
