"""Commands of a terminal under bad circumstances: no traceback, an exit code, and no run left in state RUNNING."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import yaml

from tests.soak.campaign.draw import Draw
from tests.soak.campaign.scene import FINAL, Scene
from tests.soak.campaign.texts import bad_yamls
from tests.soak.campaign.works import RUNS

_ENDS_WITHIN_S = 60.0
_PER_FAULT = 3
_Process = subprocess.Popen[Any]


def commands(scene: Scene, rng: Draw) -> str:
    """Some commands, one after the other."""
    names = rng.sample(sorted(_COMMANDS), _PER_FAULT)
    for name in names:
        folder = scene.folder / f"command-{rng.randrange(10**9)}"
        folder.mkdir()
        try:
            _COMMANDS[name](scene, folder, rng)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return ", ".join(names)


def _bad_yaml(scene: Scene, folder: Path, rng: Random) -> None:
    """`airtoll run` with bad configurations."""
    for body in bad_yamls(rng, 3):
        (folder / "run.yaml").write_bytes(body)
        scene.ledger.count("bad inputs")
        _run(scene, f"airtoll run with {body[:80]!r}", "run", "run.yaml", "--out", "out", cwd=folder)


def _closed_stdout(scene: Scene, folder: Path, rng: Random) -> None:
    """`airtoll run | true`"""
    _small_run(folder)
    words = rng.choice((("run", "run.yaml", "--out", "out"), ("schemes",), ("worlds", "d2d_underlay")))
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as closed:
        _run(scene, f"airtoll {words[0]} | true", *words, cwd=folder, stdout=closed)
    _check_state(scene, "airtoll run | true", folder / "out")


def _closed_terminal(scene: Scene, folder: Path, rng: Random) -> None:
    """`airtoll run` whose terminal is closed: SIGHUP."""
    _small_run(folder, slots=100_000)
    process = _start(scene, "run", "run.yaml", "--out", "out", cwd=folder)
    scene.until(lambda: (folder / "out" / "trace.bin").exists(), 30)
    time.sleep(rng.uniform(0.2, 2.0))
    process.send_signal(signal.SIGHUP)
    _check(scene, "airtoll run without its terminal", process)
    _check_state(scene, "airtoll run without its terminal", folder / "out")


def _full_disk(scene: Scene, folder: Path, rng: Random) -> None:
    """`airtoll run` whose files may not grow beyond some size."""
    _small_run(folder, slots=5000)
    size = rng.choice((0, 10_000, 100_000))
    what = f"airtoll run with files of up to {size} bytes"
    _run(scene, what, "run", "run.yaml", "--out", "out", cwd=folder, before=("prlimit", f"--fsize={size}:{size}"))
    if size:
        _check_state(scene, what, folder / "out")


def _damaged_run(scene: Scene, folder: Path, rng: Random) -> None:
    """Commands that read a run's folder in which one file is damaged."""
    _small_run(folder)
    _run(scene, "airtoll run", "run", "run.yaml", "--out", "out", cwd=folder)
    files = sorted(path for path in (folder / "out").iterdir() if path.is_file())
    victim = rng.choice(files)
    good = victim.read_bytes()
    victim.write_bytes(rng.choice((b"", good[: len(good) // 2], b"\xff\x00{", rng.randbytes(100), b"[]", good * 2)))
    for words in (("toll", "out"), ("plot", "out"), ("diff", "out", "out"), ("frames", "out"), ("resume", "out")):
        _run(scene, f"airtoll {words[0]} with a damaged {victim.name}", *words, cwd=folder)


def _bad_data_folder(scene: Scene, folder: Path, rng: Random) -> None:
    """`airtoll serve` with a damaged database, or with a data folder that is none."""
    data, what = folder / "data", rng.choice(("a damaged database", "an empty file as database", "a file as folder"))
    if what == "a file as folder":
        data.write_text("")
    else:
        data.mkdir()
        (data / "airtoll.db").write_bytes(b"" if "empty" in what else rng.randbytes(5000))
    process = _start(scene, "serve", "--port", "0", "--data", "data", cwd=folder)
    with suppress(subprocess.TimeoutExpired):
        process.wait(timeout=8)  # an empty file is a fresh database
    process.send_signal(signal.SIGINT)
    _check(scene, f"airtoll serve with {what}", process)


def _service_gone(scene: Scene, folder: Path, rng: Random) -> None:
    """Commands that ask a controller that is not there, or is none."""
    url = rng.choice(("http://127.0.0.1:1", f"http://127.0.0.1:{scene.port}", "ftp://x", "http://", "http://[::1", "x"))
    words = rng.choice((("list",), ("show", "x"), ("watch", "x"), ("nodes",), ("stop", "../x"), ("weights", "x", "y")))
    _run(scene, f"airtoll {words[0]} of {url}", *words, cwd=folder, environment={"AIRTOLL_URL": url})


_COMMANDS: dict[str, Callable[[Scene, Path, Random], None]] = {
    "run with bad YAML": _bad_yaml,
    "run with a closed stdout": _closed_stdout,
    "run without its terminal": _closed_terminal,
    "run on a full disk": _full_disk,
    "damaged run folder": _damaged_run,
    "serve with a bad data folder": _bad_data_folder,
    "no controller": _service_gone,
}


def _small_run(folder: Path, **changes: int) -> None:
    config = RUNS["canary"] | {"placement": "processes"} | changes
    (folder / "run.yaml").write_text(yaml.safe_dump(config), "utf-8")


def _start(scene: Scene, *words: str, cwd: Path, before: Sequence[str] = (), **more: Any) -> _Process:
    """Start a command whose stderr goes to a file in `cwd`."""
    environment = os.environ | scene.environment | more.pop("environment", {})
    with (scene.folder / "errors.txt").open("wb") as errors, (cwd / "output.txt").open("wb") as output:
        return subprocess.Popen(
            [*before, sys.executable, "-m", "airtoll", *words],
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stderr=errors,
            env=environment,
            start_new_session=True,
            **{"stdout": output} | more,
        )


def _run(scene: Scene, what: str, *words: str, cwd: Path, **more: Any) -> None:
    """Run a command to its end: no traceback, and an exit code of its own."""
    _check(scene, what, _start(scene, *words, cwd=cwd, **more))


def _check(scene: Scene, what: str, process: _Process) -> None:
    if not scene.until(lambda: process.poll() is not None, _ENDS_WITHIN_S):
        scene.broke(f"{what} does not end within {_ENDS_WITHIN_S:.0f} s")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    errors = (scene.folder / "errors.txt").read_text("utf-8", errors="replace")
    if "Traceback (most recent call last)" in errors:
        scene.broke(f"{what}: traceback {errors.strip().splitlines()[-1][:200]!r}, exit code {process.returncode}")


def _check_state(scene: Scene, what: str, folder: Path) -> None:
    """A run whose command has ended has ended."""
    if (folder / "meta.json").exists():
        state = json.loads((folder / "meta.json").read_text())["state"]
        if state not in FINAL:
            scene.broke(f"{what} leaves the run {state}")
