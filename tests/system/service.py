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
    """A controller that listens, and the client to it."""

    def __init__(self, process: "subprocess.Popen[str]", token: str) -> None:
        assert process.stdout is not None
        told = process.stdout.readline()
        assert told.startswith("listening at "), told
        self.process = process
        self.url = told.removeprefix("listening at ").strip()
        self.client = Controller(self.url, token)

    def kill(self) -> None:
        """As if the machine had taken it away."""
        self.process.kill()
        self.process.wait()

    def until(self, run_id: str, reached: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The run, as soon as it has come so far, or has ended."""
        for _ in self.client.watch(run_id):
            if reached(run := self.client.show(run_id)):
                return run
        raise AssertionError(self.client.show(run_id))

    def until_state(self, run_id: str, *states: str) -> dict[str, Any]:
        """The run, as soon as it is in one of these states."""
        return self.until(run_id, lambda run: run["state"] in states)


@contextmanager
def serving(data: Path, *words: str, **environment: str) -> Iterator[Service]:
    """A controller whose runs lie in `data`; at the end neither it nor any run process is left."""
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
    """Kill what is still at work in a folder."""
    for folder in (data / "runs").glob("*"):
        if process := RunProcessHandle.find(folder):
            process.tell(signal.SIGKILL)
            process.close()
            assert outlive({process.pid}) == []
