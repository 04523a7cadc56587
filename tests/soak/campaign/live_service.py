"""The controller under attack: `airtoll serve` as a process, with its log and its answers."""

import http.client
import os
import resource
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

SOFT_FILES, HARD_FILES = 1024, 4096  # a usual soft limit on open files, and room for a service that raises it
_STARTS_WITHIN_S = 90.0
_LEVELS = ("WARNING ", "ERROR ", "CRITICAL ", "INFO ")


class Answer(NamedTuple):
    """An HTTP answer; `status` 0 when none came, `body` then says why."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    seconds: float

    @property
    def is_unforeseen(self) -> bool:
        """A server error other than one that explains itself and says when to try again."""
        explained = self.headers.get("content-type") == "application/problem+json" and "retry-after" in self.headers
        return self.status >= 500 and not (self.status in (503, 507) and explained)


class LiveService:
    """`words`: the options of `airtoll serve`; `environment`: additions to its environment."""

    def __init__(self, words: list[str], environment: dict[str, str], log: Path) -> None:
        self._words, self._environment, self._log = words, environment, log
        self.token = environment.get("AIRTOLL_TOKEN", "")
        self._read = 0
        self.url = ""

    def start(self) -> str:
        """Start it; why it did not start, or ""."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "airtoll", "serve", "--port", "0", *self._words],
                env=os.environ | self._environment,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (SOFT_FILES, HARD_FILES)),
            )
        assert self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], _STARTS_WITHIN_S)
        line = self.process.stdout.readline() if ready else ""
        if line.startswith("listening at "):
            self.url = line.removeprefix("listening at ").strip()
            return ""
        self.process.kill()
        self.process.communicate()
        return f"the service does not start (exit code {self.process.returncode}): {self._tail()}"

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def peak_mb(self) -> float:
        """The most resident memory that it ever had."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) / 1e3

    @property
    def is_alive(self) -> bool:
        """Whether the process is there."""
        return self.process.poll() is None

    def kill(self) -> None:
        """Kill it; its run processes continue."""
        self.process.kill()
        self.process.communicate()

    def new_tracebacks(self) -> list[str]:
        """Exceptions whose tracebacks were logged since the last call; those of warnings are foreseen."""
        with self._log.open("rb") as log:
            log.seek(self._read)
            text = log.read()
        self._read += len(text)
        parts, found, level = text.decode(errors="replace").split("Traceback (most recent call last)"), [], ""
        for before, trace in pairwise(parts):
            level = next((line.split()[0] for line in before.splitlines()[::-1] if line.startswith(_LEVELS)), level)
            if level != "WARNING":  # the causes of one exception follow each other under one level
                found.append(_error_of(trace))
        return found

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        timeout_s: float,
    ) -> Answer:
        """Send a request over a connection of its own."""
        began = time.monotonic()
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=timeout_s)
        authorization = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        try:
            connection.request(method, path, body, authorization | dict(headers or {}))
            answer = connection.getresponse()
            content = answer.read()
            known = {key.lower(): value for key, value in answer.getheaders()}
            return Answer(answer.status, known, content, time.monotonic() - began)
        except (OSError, http.client.HTTPException) as error:
            return Answer(0, {}, f"{type(error).__name__}: {error}".encode(), time.monotonic() - began)
        finally:
            connection.close()

    def _tail(self) -> str:
        return self._log.read_text("utf-8", errors="replace")[-300:]


def _error_of(trace: str) -> str:
    """The line that names the exception: the first after the frames, which are indented."""
    lines = [line for line in trace.splitlines()[1:] if line and not line.startswith((" ", "\t"))]
    return lines[0][:300] if lines else "?"
