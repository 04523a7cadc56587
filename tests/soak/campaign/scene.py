"""What faults are injected into: a controller, its pool of workers, runs at work, and what broke so far."""

import json
import os
import random
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from protocol.transports.keys import Keys
from tests.postgres import PostgresServer
from tests.soak.campaign.clock import JumpingClock
from tests.soak.campaign.ledger import Ledger
from tests.soak.campaign.live_service import Answer, LiveService
from tests.soak.campaign.works import RUNS, Work
from tests.system.pool import WorkerProcess

MARK = "CAMPAIGN_MARK"  # in the environment of every process of a campaign
FINAL = ("SUCCEEDED", "FAILED", "STOPPED")
API = "/api/v2"
PORTS = range(25_000, 26_000)
_PORTS_NEEDED = 20  # the pool's, and two per run process
_DATA_MB = 256
_BROKEN_WITHIN_S = 15.0  # for what comes after something broke: it is probably wedged
_NODE_FILES = ("node.key", "node.key_secret", "server.key")
JSON = {"Content-Type": "application/json"}
YAML = {"Content-Type": "application/yaml"}


class LeftOutError(Exception):
    """A fault cannot be injected here; says why."""


class OutOfTimeError(Exception):
    """The campaign must end before this can be judged."""


class Setting(NamedTuple):
    """What is the same for every scene of a campaign. `postgres` is None for SQLite; `ends_at` is on the monotonic
    clock: nothing waits longer."""

    ledger: Ledger
    clock: JumpingClock
    postgres: PostgresServer | None
    ends_at: float


class Scene:
    """`locked`: with keys for the pool and a token for clients. `resume`: lost runs resume from checkpoints."""

    def __init__(self, folder: Path, setting: Setting, *, locked: bool, resume: bool) -> None:
        self.setting, self.ledger, self.locked, self.resume = setting, setting.ledger, locked, resume
        self.folder, self.data = folder, folder / "data"
        self.data.mkdir(parents=True)
        self.on_tmpfs = _mount(self.data)
        self.mark = secrets.token_hex(8)
        self.works: list[Work] = []
        self.broken: list[str] = []
        self.recorded: dict[str, Any] = {}  # a run that has ended, which nothing may change
        self.deaf = False  # while True, the present fault allows that requests are not answered
        self.measured_s = 0.05  # for an answer of /healthz when no fault is injected
        self.database = (
            f"sqlite:///{self.data / 'airtoll.db'}" if setting.postgres is None else setting.postgres.database()
        )
        self.port = _free_ports()
        self.key_folders = _make_keys(folder / "keys") if locked else None
        self.environment = {MARK: self.mark} | setting.clock.environment
        token = {"AIRTOLL_TOKEN": secrets.token_hex(16)} if locked else {}
        self.service = LiveService(
            self._words(), self.environment | token | {"AIRTOLL_DB": self.database}, folder / "service.log"
        )
        self.workers: list[WorkerProcess] = []
        self.start_service()
        for role, capacity in (("channel", 0), ("channel", 0), ("agent", 4), ("agent", 4)):
            self.start_worker(role, capacity)

    def _words(self) -> list[str]:
        ports = f"{self.port + 1}-{self.port + _PORTS_NEEDED - 1}"
        words = ["--data", str(self.data), "--at-once", "6", "--request-timeout", "10", "--stop-timeout", "10"]
        words += ["--pool", self.pool, "--run-process-ports", ports, "--on-loss", "resume" if self.resume else "fail"]
        return [*words, "--readers", "64", *(["--keys", str(self.key_folders[0])] if self.key_folders else [])]

    @property
    def pool(self) -> str:
        """Where workers connect."""
        return f"tcp://127.0.0.1:{self.port}"

    # processes

    def start_service(self) -> None:
        """Start the controller, or start it again."""
        if failure := self.service.start():
            self.broke(failure)
        self.descriptors, self.memory_mb = self.resources() if not failure else (0, 0.0)

    def start_worker(self, role: str, capacity: int = 0, *, pool: str = "") -> WorkerProcess:
        """Start a worker of the pool."""
        name = f"{role}-{len(self.workers)}"
        words = [*(["--capacity", str(capacity)] if capacity else [])]
        words += ["--keys", str(self.key_folders[1])] if self.key_folders else []
        log = self.folder / f"{name}.log"
        worker = WorkerProcess(role, name, pool or self.pool, *words, log=log, **self.environment)
        self.workers.append(worker)
        return worker

    def replace_lost_workers(self) -> None:
        """Start a worker in place of each that is gone."""
        for worker in [worker for worker in self.workers if worker.process.poll() is not None]:
            self.workers.remove(worker)
            self.start_worker(worker.role, 4 if worker.role == "agent" else 0)

    def processes(self) -> list[psutil.Process]:
        """Every process of the scene that is alive, in a stable order."""
        return sorted((p for p in psutil.process_iter() if self._is_own(p)), key=lambda p: p.pid)

    def _is_own(self, process: psutil.Process) -> bool:
        with suppress(psutil.Error):
            return process.environ().get(MARK) == self.mark and process.status() != psutil.STATUS_ZOMBIE
        return False

    def resources(self) -> tuple[int, float]:
        """Open descriptors and resident MB of the controller."""
        process = psutil.Process(self.service.pid)
        return process.num_fds(), process.memory_info().rss / 1e6

    def close(self) -> None:
        """Kill everything and remove the folder."""
        for process in (first := self.processes()):
            _kill(process)
        self.service.kill()
        for worker in self.workers:
            worker.process.wait()
        for process in self.processes():  # forked between the two
            _kill(process)
        psutil.wait_procs(first, timeout=10)
        while self.on_tmpfs and os.path.ismount(self.data):
            subprocess.run(["umount", "--lazy", self.data], check=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    # requests

    def request(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        bad: bool = False,
        timeout_s: float = 0.0,
    ) -> Answer:
        """Send a request and judge its answer; `bad`: it is a bad input."""
        limit_s = timeout_s or self.limit_s(15.0)
        answer = self.service.request(method, path, body, headers, timeout_s=limit_s)
        hung = answer.status == 0 and answer.seconds >= limit_s and not self.deaf
        unforeseen = answer.is_unforeseen and not self._names_the_damage(path, answer)
        if unforeseen:
            self.broke(f"{method} {path[:100]}: {answer.status} {answer.body[:200].decode(errors='replace')}")
        if hung:
            self.broke(f"{method} {path[:100]} was not answered within {limit_s:.0f} s")
        self.ledger.count("bad inputs" if bad else "requests", broke=int(hung or unforeseen))
        return answer

    def _names_the_damage(self, path: str, answer: Answer) -> bool:
        """Whether a request about a run with which somebody tampered is answered with the damage of its files."""
        tampered = [work.id for work in self.works if work.tampered]
        return any(run_id in path and f"/{run_id}/".encode() in answer.body for run_id in tampered)

    def limit_s(self, seconds: float) -> float:
        """A limit of so many seconds, longer on a machine that is slow without any fault."""
        return seconds + 20 * self.measured_s

    def measure(self) -> None:
        """Measure how long an answer takes at present, when no fault is injected."""
        samples = [self.service.request("GET", "/healthz", timeout_s=30).seconds for _ in range(5)]
        self.measured_s = max(samples)

    def broke(self, what: str) -> None:
        """Note what the present fault broke, once."""
        if what not in self.broken:
            self.broken.append(what)

    def until(self, reached: Callable[[], Any], seconds: float) -> Any:
        """The first true result of `reached`, or the last false one after so many seconds, more on a busy machine
        unless something is broken already. OutOfTimeError when the campaign must end."""
        load = os.getloadavg()[0] / (os.cpu_count() or 1)
        deadline = time.monotonic() + (
            min(seconds, _BROKEN_WITHIN_S) if self.broken else seconds * min(3.0, max(1.0, load))
        )
        while not (found := reached()) and time.monotonic() < deadline:
            if time.monotonic() > self.setting.ends_at:
                raise OutOfTimeError
            time.sleep(0.1)
        return found

    # runs

    def submit(self, name: str, **changes: Any) -> Work | None:
        """Submit a run of RUNS with changed settings, and watch its end; None if it was rejected."""
        config = RUNS[name] | changes
        answer = self.request("POST", f"{API}/runs", json.dumps(config).encode(), JSON)
        if answer.status != 201 and answer.status != 202:
            return None
        work = Work(json.loads(answer.body)["id"], name, config)
        self.works.append(work)
        return work

    def begin(self, *names: str, **changes: Any) -> list[Work]:
        """Submit runs, and wait until their first slots are done."""
        works = [work for name in names if (work := self.submit(name, **changes))]
        if len(works) < len(names) or not self.until(lambda: all(self.slot(work) > 0 for work in works), 60):
            self.broke("before the fault: a run did not begin within 60 s")
        return works

    def show(self, work: Work) -> dict[str, Any]:
        """The run as the controller shows it; empty if it does not."""
        answer = self.request("GET", f"{API}/runs/{work.id}")
        shown: dict[str, Any] = json.loads(answer.body) if answer.status == 200 else {}
        return shown

    def slot(self, work: Work) -> int:
        """How far a run is."""
        return int(self.show(work).get("slot", 0))

    def ended(self, work: Work) -> bool:
        """Whether a run has ended."""
        return self.show(work).get("state") in FINAL

    def run_folder(self, work: Work) -> Path:
        """The folder of a run."""
        return self.data / "runs" / work.id

    def processes_of(self, work: Work) -> list[psutil.Process]:
        """The processes of a run on this machine outside of the pool: its run process, and below it."""
        from controller.service.run_process_handle import RunProcessHandle

        handle = RunProcessHandle.find(self.run_folder(work))
        if handle is None:
            return []
        handle.close()
        with suppress(psutil.Error):
            leader = psutil.Process(handle.pid)
            return [leader, *sorted(leader.children(recursive=True), key=lambda p: p.pid)]
        return []


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.Error):
        process.kill()


def _free_ports() -> int:
    """The first of enough free ports in a row."""
    draw = random.Random()  # another seed than the campaign's: two campaigns may run side by side
    while True:
        first = draw.randrange(PORTS.start, PORTS.stop - _PORTS_NEEDED)
        with suppress(OSError):
            for port in range(first, first + _PORTS_NEEDED):
                socket.create_server(("127.0.0.1", port)).close()
            return first


def _make_keys(folder: Path) -> tuple[Path, Path]:
    """The keys of the controller, and the part of them that a worker has."""
    house, nodes = Keys.make(folder / "house").folder, folder / "nodes"
    nodes.mkdir()
    for name in _NODE_FILES:
        shutil.copy(house / name, nodes)
    return house, nodes


def _mount(folder: Path) -> bool:
    """Mount a small tmpfs at a folder; False where that is not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={_DATA_MB}m", "airtoll-campaign", str(folder)]
    return os.geteuid() == 0 and subprocess.run(command, capture_output=True).returncode == 0
