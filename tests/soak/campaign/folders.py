"""Folders of running, waiting and ended runs, in which somebody damages, empties and removes files."""

import json
import shutil
import threading
import time
from contextlib import suppress
from pathlib import Path
from random import Random

from tests.soak.campaign.draw import Draw
from tests.soak.campaign.scene import API, Scene
from tests.soak.campaign.works import Work

_PATHS = ("", "/metrics", "/toll", "/map", "/wire", "/log", "/files", "/checkpoints", "/weights", "/events")
_FILES = (
    *("status.json", "meta.json", "config.yaml", "metrics.csv", "toll.csv", "scalars.csv", "events.jsonl", "map.json"),
)
_RUNS = ("running", "ended", "waiting")
_HARMS = ("emptied", "damaged", "removed", "a folder")


def tampering(scene: Scene, rng: Draw) -> str:
    """Harm one file of a run, or remove the whole folder; read everything; at random start the controller anew."""
    which = rng.choice(_RUNS)
    work = _run(scene, which)
    work.allow("FAILED", "STOPPED")
    work.tampered = True
    file, harm = rng.choice(("", *_FILES)), rng.choice(_HARMS)
    folder = scene.run_folder(work)
    if file:
        _harm(folder / file, harm, rng)
    else:
        shutil.rmtree(folder, ignore_errors=True)
    _read(scene, work)
    restarts = rng.random() < 0.5
    if restarts:
        scene.deaf = True
        scene.service.kill()
        scene.start_service()
        scene.deaf = False
        _read(scene, work)
    stopped = [work] if rng.random() < 0.5 else []  # else one that waits is started from what is left of its folder
    for each in [*stopped, *(other for other in scene.works if other.name == "endless")]:
        scene.request("POST", f"{API}/runs/{each.id}/stop")
    harmed = f"{file} {harm}" if file else "the folder removed"
    return f"{harmed} of a run that is {which}{', and the controller restarted' if restarts else ''}"


def reads_and_writes(scene: Scene, rng: Draw) -> str:
    """Read files of a run over and over while it writes them, checkpoints above all, and is deleted."""
    [work] = scene.begin("processes", checkpoint_every=5, slots=1500, keep_checkpoints=rng.choice((1, 3)))
    threads = [threading.Thread(target=_read_until_end, args=(scene, work, Random(n))) for n in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return "read every file of a run that writes a checkpoint every 5 slots"


def _run(scene: Scene, which: str) -> Work:
    """A run that is running, ended or waiting."""
    if which == "running":
        return scene.works[0]
    if which == "ended":
        [work] = scene.begin("canary")
        scene.until(lambda: scene.ended(work), 30)
        return work
    for _ in range(6):  # as many as run at once
        if endless := scene.submit("endless"):
            endless.allow("STOPPED")
    waiting = scene.submit("canary")
    assert waiting is not None
    return waiting


def _harm(path: Path, harm: str, rng: Random) -> None:
    with suppress(OSError):
        match harm:
            case "emptied":
                path.write_bytes(b"")
            case "damaged":
                path.write_bytes(rng.choice((b"\xff\x00{", b"[]", b"null", b'{"state": 1}', rng.randbytes(200))))
            case "removed":
                path.unlink()
            case _:
                path.unlink(missing_ok=True)
                path.mkdir()


def _read(scene: Scene, work: Work) -> None:
    for _ in range(3):
        for path in _PATHS[:-1]:
            scene.request("GET", f"{API}/runs/{work.id}{path}")
        for file in _FILES:
            scene.request("GET", f"{API}/runs/{work.id}/files/{file}")
        for path in (f"{API}/runs", f"{API}/nodes", f"{API}/compare?runs={work.id}", "/metrics"):
            scene.request("GET", path)
        time.sleep(0.3)


def _read_until_end(scene: Scene, work: Work, rng: Random) -> None:
    deadline = time.monotonic() + 20
    while not scene.ended(work) and time.monotonic() < deadline:
        answer = scene.request("GET", f"{API}/runs/{work.id}/files")
        if answer.status == 200:
            names = [file["name"] for file in json.loads(answer.body)["files"]]
            for name in rng.sample(names, min(4, len(names))):
                scene.request("GET", f"{API}/runs/{work.id}/files/{name}")
        for path in _PATHS[:-1]:
            scene.request("GET", f"{API}/runs/{work.id}{path}")
