"""A controller with a pool, and its workers, started by tests as people start them by hand."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random
from typing import Any

from tests.system.processes import children_of, outlive
from tests.system.service import Service, serving

TIMEOUT_S = 60.0


_NO_WORKER_NEEDS = (
    *("pydantic", "yaml", "matplotlib", "typer", "rich", "fastapi", "sqlalchemy", "torch"),
    *("controller.config.run_config", "controller.service"),
)


def bare(folder: Path) -> dict[str, str]:
    """The environment of a process, and of all that it starts, to which nothing is installed that no node needs."""
    (folder / "bare").mkdir(exist_ok=True)
    (folder / "bare" / "sitecustomize.py").write_text(
        f"import sys\nsys.modules |= dict.fromkeys({_NO_WORKER_NEEDS!r})\n", "utf-8"
    )
    path = os.pathsep.join([str(folder / "bare"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"PYTHONPATH": path}


class Worker:
    """`airtoll agent` or `airtoll channel`, where no more is installed than it needs."""

    def __init__(self, role: str, name: str, pool: str, *words: str, log: Path, **environment: str) -> None:
        self.role, self.name = role, name
        self._log = log
        with log.open("w") as stream:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "airtoll", role, "--pool", pool, "--name", name, *words],
                stderr=stream,
                env=bare(log.parent) | environment,
            )

    @property
    def log(self) -> str:
        """What it has said."""
        return self._log.read_text("utf-8")

    def kill(self) -> None:
        """As if its machine had been taken away: nothing of it is left."""
        family = children_of(self.process.pid)
        self.process.kill()
        self.process.wait()
        assert outlive(family) == []

    def leave(self, number: signal.Signals = signal.SIGTERM) -> int:
        """As asked to; its exit code. Nothing of it is left."""
        family = children_of(self.process.pid)
        self.process.send_signal(number)
        code = self.process.wait(timeout=TIMEOUT_S)
        assert outlive(family) == []
        return code


class Pool:
    """The workers of one test; the controller may come and go. `environment`: of theirs, too."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.endpoint = f"tcp://127.0.0.1:{_free_port()}"
        self._folder = folder
        self._environment = environment
        self.workers: list[Worker] = []

    def start(self, role: str, *words: str) -> Worker:
        """One more worker."""
        name = f"{role}-{len(self.workers)}"
        log = self._folder / f"{name}.log"
        worker = Worker(role, name, self.endpoint, *words, log=log, **self._environment)
        self.workers.append(worker)
        return worker

    @contextmanager
    def serving(self, *words: str) -> Iterator[Service]:
        """A controller for them."""
        with serving(self._folder / "data", "--pool", self.endpoint, *words) as service:
            yield service

    def close(self) -> None:
        """End all that are left."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.kill()


@contextmanager
def pooled(folder: Path, *words: str, agents: int, channels: int = 1) -> Iterator[tuple[Pool, Service]]:
    """A controller, a worker with so many places for agents, so many channel workers."""
    with ExitStack() as stack:
        pool = Pool(folder)
        stack.callback(pool.close)
        for _ in range(channels):
            pool.start("channel")
        if agents:
            pool.start("agent", "--capacity", str(agents))
        service = stack.enter_context(pool.serving(*words))
        yield pool, service


def until(reached: Callable[[], Any]) -> Any:
    """What is there as soon as it is."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (found := reached()):
        assert time.monotonic() < deadline, "it never came so far"
        os.sched_yield()
        time.sleep(0.02)
    return found


def _free_port() -> int:
    """One that nobody is given by chance meanwhile: below those that the kernel gives."""
    draw = Random()
    while True:
        port = draw.randrange(20_000, 30_000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
