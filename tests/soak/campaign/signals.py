"""Faults of processes: one receives a signal, or all stand still and go on one after the other."""

import os
import signal
import time
from contextlib import suppress

import psutil

from tests.soak.campaign.draw import Draw
from tests.soak.campaign.scene import Scene

_SIGNALS = ("STOP", "KILL", "TERM", "HUP", "USR1", "USR2")
_LOST_AFTER_S = 5.0
_SPREAD_S = 2.0  # from the first process that goes on to the last: less than a node may be silent
_ROLES = ("service", "run process", "channel server", "trainer", "agent", "worker", "other")


def signal_one(scene: Scene, rng: Draw) -> str:
    """Send one process of a drawn role a drawn signal; a stopped one goes on after a while, a paused run is resumed."""
    number = signal.Signals[f"SIG{rng.choice(_SIGNALS)}"]
    by_role = processes_by_role(scene)
    role = rng.choice([role for role in _ROLES if by_role.get(role)])
    process = rng.choice(by_role[role])
    time.sleep(rng.uniform(0.0, 0.5))
    seconds = rng.uniform(0.5, 5.0)
    with suppress(psutil.Error):
        name = process.name()
        _allow(scene, role, number)
        process.send_signal(number)
        if number == signal.SIGSTOP:
            time.sleep(seconds)
            process.send_signal(signal.SIGCONT)
        elif role == "run process" and number == signal.SIGUSR1:
            time.sleep(seconds)
            process.send_signal(signal.SIGUSR2)
    if role == "service" and number != signal.SIGSTOP:
        scene.service.process.wait(timeout=30)
        scene.start_service()
    return f"{number.name} to {role}" + (f" {name}" if role in ("agent", "other") else "")


def pause_all(scene: Scene, rng: Draw) -> str:
    """All processes stand still for longer than a node may be silent, and go on in a drawn order: time that passed
    while a process did not run counts against nobody."""
    scene.begin("processes", on_node_loss={"lost_after_s": _LOST_AFTER_S})
    processes = scene.processes()
    seconds = _LOST_AFTER_S + rng.uniform(1, 4)
    for process in processes:
        _send(process.pid, signal.SIGSTOP)
    time.sleep(seconds)
    rng.shuffle(processes)
    for process in processes:
        _send(process.pid, signal.SIGCONT)
        time.sleep(rng.choice((0.0, 0.0, 2 * _SPREAD_S / len(processes))))
    return f"all {len(processes)} processes paused for {seconds:.1f} s, then continued within {_SPREAD_S:g} s"


def processes_by_role(scene: Scene) -> dict[str, list[psutil.Process]]:
    """The processes of a scene by what they are."""
    found: dict[str, list[psutil.Process]] = {}
    workers = {worker.process.pid for worker in scene.workers}
    leaders = {processes[0].pid for work in scene.works if (processes := scene.processes_of(work))}
    for process in scene.processes():
        with suppress(psutil.Error):
            found.setdefault(_role(scene, process, workers, leaders), []).append(process)
    return found


def _role(scene: Scene, process: psutil.Process, workers: set[int], leaders: set[int]) -> str:
    name = process.name()
    if process.pid == scene.service.pid:
        return "service"
    if process.pid in workers:
        return "worker"
    if process.pid in leaders:
        return "run process"
    if name in ("channel server", "trainer"):
        return name
    return "agent" if name.startswith(("pair-", "ap")) else "other"


def _allow(scene: Scene, role: str, number: signal.Signals) -> None:
    """A signal that ends a process may end its run, or cost it a node; one that stops it for a while may not."""
    if role != "service" and number != signal.SIGSTOP:
        for work in scene.works:
            work.allow("FAILED", "STOPPED")


def _send(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)
