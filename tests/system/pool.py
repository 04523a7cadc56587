"""A controller with a pool and its workers as processes, started as users start them."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from random import Random

from tests.system.processes import children_of, outlive
from tests.system.service import Service, serving

TIMEOUT_S = 60.0

_NOT_FOR_WORKERS = (
    *("pydantic", "yaml", "matplotlib", "typer", "rich", "fastapi", "sqlalchemy", "torch"),
    *("controller.config.run_config", "controller.service"),
)


def bare(folder: Path) -> dict[str, str]:
    """The environment of a process and its children in which only what a node needs can be imported."""
    (folder / "bare").mkdir(exist_ok=True)
    (folder / "bare" / "sitecustomize.py").write_text(
        f"import sys\nsys.modules |= dict.fromkeys({_NOT_FOR_WORKERS!r})\n", "utf-8"
    )
    path = os.pathsep.join([str(folder / "bare"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"PYTHONPATH": path}


class WorkerProcess:
    """`airtoll agent` or `airtoll channel`, with no more installed than it needs."""

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
        """What it has logged so far."""
        return self._log.read_text("utf-8")

    def kill(self) -> None:
        """Kill it; no process of its is left."""
        family = children_of(self.process.pid)
        self.process.kill()
        self.process.wait()
        assert outlive(family) == []

    def leave(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send it a signal to end; its exit code. No process of its is left."""
        family = children_of(self.process.pid)
        self.process.send_signal(number)
        code = self.process.wait(timeout=TIMEOUT_S)
        assert outlive(family) == []
        return code


class WorkerProcesses:
    """The workers of one test; the controller may restart. `environment`: additions to theirs."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.endpoint = f"tcp://127.0.0.1:{_free_port()}"
        self._folder = folder
        self._environment = environment
        self.workers: list[WorkerProcess] = []

    def start(self, role: str, *words: str, pool: str = "") -> WorkerProcess:
        """Start a worker; `pool`: where it connects, by default where the controller listens."""
        name = f"{role}-{len(self.workers)}"
        log = self._folder / f"{name}.log"
        worker = WorkerProcess(role, name, pool or self.endpoint, *words, log=log, **self._environment)
        self.workers.append(worker)
        return worker

    @contextmanager
    def serving(self, *words: str) -> Iterator[Service]:
        """Start a controller with a pool for them."""
        with serving(self._folder / "data", "--pool", self.endpoint, *words) as service:
            yield service

    def close(self) -> None:
        """Kill the workers that are left."""
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.kill()


@contextmanager
def pooled(folder: Path, *words: str, agents: int, channels: int = 1) -> Iterator[tuple[WorkerProcesses, Service]]:
    """A controller, a worker with capacity for so many agents, and so many channel workers."""
    with ExitStack() as stack:
        pool = WorkerProcesses(folder)
        stack.callback(pool.close)
        for _ in range(channels):
            pool.start("channel")
        if agents:
            pool.start("agent", "--capacity", str(agents))
        service = stack.enter_context(pool.serving(*words))
        yield pool, service


def _free_port() -> int:
    """A free port below the range from which the kernel assigns ports, so that no other process gets it meanwhile."""
    draw = Random()
    while True:
        port = draw.randrange(20_000, 30_000)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
