"""Faults of the data folder: a full disk, and a folder that is read-only."""

import resource
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil

from tests.soak.campaign.draw import Draw
from tests.soak.campaign.scene import API, LeftOutError, Scene

_BALLAST = "ballast"
_PATHS = ("", "/metrics", "/toll", "/files", "/log", "/checkpoints")


def disk_full(scene: Scene, rng: Draw) -> str:
    """No byte can be written to the data folder for some seconds; where it is no tmpfs, no file may grow."""
    seconds = rng.uniform(2, 6)
    for work in scene.works:
        work.allow("FAILED")
    with _full(scene) if scene.on_tmpfs else _no_growth(scene):
        use_service(scene, seconds)
    return f"{'full tmpfs' if scene.on_tmpfs else 'RLIMIT_FSIZE 0'} for {seconds:.1f} s"


def read_only(scene: Scene, rng: Draw) -> str:
    """The data folder is read-only for some seconds; files that are open for writing remain so."""
    if not scene.on_tmpfs:
        raise LeftOutError("only root may mount")
    seconds = rng.uniform(2, 6)
    for work in scene.works:
        work.allow("FAILED")
    subprocess.run(["mount", "--bind", scene.data, scene.data], check=True)
    subprocess.run(["mount", "-o", "remount,ro,bind", scene.data], check=True)
    try:
        use_service(scene, seconds)
    finally:
        subprocess.run(["umount", "--lazy", scene.data], check=True)
    return f"read-only for {seconds:.1f} s"


def use_service(scene: Scene, seconds: float) -> None:
    """Submit, list, read and stop runs for so many seconds."""
    deadline = time.monotonic() + seconds
    works = list(scene.works)
    while time.monotonic() < deadline:
        if work := scene.submit("canary"):
            work.allow("FAILED", "STOPPED")
            scene.request("POST", f"{API}/runs/{work.id}/stop")
        paths = ["/healthz", "/readyz", "/metrics", f"{API}/runs", f"{API}/nodes", "/"]
        paths += [f"{API}/runs/{work.id}{path}" for work in works for path in _PATHS]
        for path in paths:
            if time.monotonic() < deadline:
                scene.request("GET", path)
        time.sleep(0.3)


@contextmanager
def _full(scene: Scene) -> Iterator[None]:
    ballast = scene.data / _BALLAST
    try:
        with ballast.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 16))
        with ballast.open("ab", buffering=0) as file, suppress(OSError):  # the rest, smaller than one piece
            while True:
                file.write(bytes(512))
        yield
    finally:
        ballast.unlink()


@contextmanager
def _no_growth(scene: Scene) -> Iterator[None]:
    limited = {}
    for process in scene.processes():
        with suppress(ProcessLookupError, psutil.Error):
            limited[process.pid] = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
            resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        for pid, limits in limited.items():
            with suppress(ProcessLookupError):
                resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
