"""Docker and docker-compose, and the network that the tests of this folder share."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from airtoll.client import Controller
from tests.containers import capture

ROOT = Path(__file__).parents[2]
TIMEOUT_S = 120.0
_POLL_INTERVAL_S = 0.1


def docker(*words: str, check: bool = True) -> str:
    """What a command of docker's says on both of its outputs."""
    done = subprocess.run(["docker", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0 or not check, done.stdout
    return done.stdout


def inspect(thing: str) -> dict[str, Any]:
    """All that docker knows of a container or an image."""
    [found] = json.loads(docker("inspect", thing))
    return dict(found)


def until(reached: Callable[[], object], what: str) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + TIMEOUT_S
    while not reached():
        assert time.monotonic() < deadline, f"in vain for {TIMEOUT_S:g} s: {what}"
        time.sleep(_POLL_INTERVAL_S)  # nobody tells when a container is healthy


class Stack:
    """The services of compose.yaml, as a project of their own."""

    def __init__(self, project: str, **environment: str) -> None:
        self.project = project
        self._environment = os.environ | environment
        self._compose = ["docker-compose"] if shutil.which("docker-compose") else ["docker", "compose"]

    def compose(self, *words: str, check: bool = True) -> str:
        """What compose says."""
        done = subprocess.run(
            [*self._compose, "--project-name", self.project, *words],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0 or not check, done.stdout
        return done.stdout

    def up(self, *words: str, **scale: int) -> None:
        """Start it; every container that has a check of its health is healthy. `words`: said before `up`."""
        scales = [word for service, number in scale.items() for word in ("--scale", f"{service}={number}")]
        self.compose(*words, "up", "--detach", "--no-build", *scales)
        self.healthy()

    def healthy(self) -> None:
        """Wait until every container that has a check of its health is healthy."""
        until(lambda: all(map(_is_healthy, self.containers())), "every container is healthy")

    def containers(self, service: str = "", *, all_states: bool = False) -> list[str]:
        """Ids of a service's containers, in the order of their numbers."""
        wanted = [f"label=com.docker.compose.project={self.project}"]
        wanted += [f"label=com.docker.compose.service={service}"] if service else []
        filters = [word for label in wanted for word in ("--filter", label)]
        ids = docker("ps", "--quiet", "--no-trunc", *(["--all"] if all_states else []), *filters).split()
        return sorted(ids, key=lambda container: int(inspect(container)["Config"]["Labels"][_NUMBER]))

    def address(self, container: str) -> str:
        """Where the other nodes find it."""
        return str(inspect(container)["NetworkSettings"]["Networks"][f"{self.project}_nodes"]["IPAddress"])

    def token(self) -> str:
        """The key to the controller, as whoever started it reads it."""
        return self.compose("exec", "-T", "controller", "cat", "/data/token").strip()

    def client(self) -> Controller:
        """To the controller, with its token."""
        return Controller(self.url, self.token())

    @property
    def url(self) -> str:
        """Where the controller is published."""
        return "http://" + self.compose("port", "controller", "8770").strip()

    def down(self) -> None:
        """Nothing is left of it: no container, network or volume."""
        self.compose("--profile", "dense", "down", "--volumes", "--remove-orphans", "--timeout", "5")


_NUMBER = "com.docker.compose.container-number"


def _is_healthy(container: str) -> bool:
    state = inspect(container)["State"]
    assert state["Status"] != "exited" or state["ExitCode"] == 0, docker("logs", container)
    return bool(state.get("Health", {"Status": "healthy"})["Status"] == "healthy")


class Captured:
    """What is captured in a container's network namespace, from outside of the container."""

    def __init__(self, container: str) -> None:
        pid = str(inspect(container)["State"]["Pid"])
        words = ["nsenter", "--target", pid, "--net", sys.executable, capture.__file__]
        self._process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "listening\n"

    def connections(self) -> list[tuple[capture.End, capture.End, int, int]]:
        """All that were opened since: client, server, bytes up, bytes down."""
        told, _ = self._process.communicate(timeout=TIMEOUT_S)
        return [(tuple(client), tuple(server), up, down) for client, server, up, down in json.loads(told)]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


@contextmanager
def one_off(*words: str) -> Iterator[str]:
    """The id of a container that is gone at the end."""
    container = docker("run", "--detach", *words).split()[-1]
    try:
        yield container
    finally:
        docker("rm", "--force", "--volumes", container)
