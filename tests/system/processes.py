"""Runs in real processes, followed by tests."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from controller.execution.processes import NodeProcesses, Route
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import Progress, Telemetry
from tests.preloading import preload_torch_for
from tests.recording import Recording
from tests.system.locked import LockedMachine

Meanwhile = Callable[[NodeProcesses, Telemetry], None]
R = TypeVar("R", bound=Recording)


def play(
    plan: RunPlan, meanwhile: Meanwhile, *, route: Route = lambda endpoint: endpoint, keys: Path | None = None
) -> Recording:
    """A run in processes; `meanwhile` is called with each telemetry and may do harm. `keys`: the folder of its keys."""
    machine = None if keys is None else LockedMachine(keys)
    preload_torch_for(plan)
    with NodeProcesses(plan, route=route, machine=machine) as processes:
        return recorded(processes, Recording(), meanwhile)


def recorded(processes: NodeProcesses, recording: R, meanwhile: Meanwhile | None = None) -> R:
    """Record a run that has been started to its end; AssertionError when its channel server is silent before.

    Its process may end before its last telemetry has been read, so its exit code alone proves nothing:
    `channel_failure` waits for what is still in flight.
    """
    while recording.ended is None:
        if (telemetry := processes.receive()) is not None:
            recording(telemetry)
            if meanwhile is not None:
                meanwhile(processes, telemetry)
        elif reason := processes.channel_failure:
            raise AssertionError(reason)
    return recording


def at_slot(slot: int, act: Callable[[NodeProcesses], None]) -> Meanwhile:
    """Do something once, when the run has come so far."""
    done: list[bool] = []

    def meanwhile(processes: NodeProcesses, telemetry: Telemetry) -> None:
        if isinstance(telemetry, Progress) and telemetry.slot >= slot and not done:
            done.append(True)
            act(processes)

    return meanwhile


def nothing(_processes: NodeProcesses, _telemetry: Telemetry) -> None:
    """Let it run."""


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def outlive(pids: set[int], *, within_s: float = 20.0) -> list[int]:
    """Which of these processes are still there after a while; empty as soon as none is."""
    deadline = time.monotonic() + within_s
    while (alive := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


def until(reached: Callable[[], Any], *, within_s: float = 60.0) -> Any:
    """The first true result of `reached`, asked at intervals: what is waited for needs the processor."""
    deadline = time.monotonic() + within_s
    while not (found := reached()):
        assert time.monotonic() < deadline, "it was never reached"
        time.sleep(0.02)
    return found


def children_of(pid: int) -> set[int]:
    """All living descendants of a process."""
    found: set[int] = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit() and is_alive(int(entry)):
            found |= {int(entry)} if _descends(int(entry), pid) else set()
    return found


def _descends(pid: int, ancestor: int) -> bool:
    while pid > 1:
        try:
            pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        except (FileNotFoundError, ProcessLookupError):
            return False
        if pid == ancestor:
            return True
    return False
