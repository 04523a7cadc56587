"""Kills controllers, run processes, trainers, channel servers, agents and pool workers at random, and checks the runs.

Short runs fill the queue, with checkpoints and without, on this machine and in a pool. A killed controller is started
again, at random with lost runs failing or resuming; a killed worker is replaced. After each kill the index must open
and contain all runs, and every run's state must agree with its folder and its processes. At the end every run must
have ended in a way that its kills explain, those that succeeded must be complete and have the trace of the same run
undisturbed, and no process may be left.

    python -m tests.soak.service_chaos --kills 50 --seed 1 [--postgres]
"""

from protocol.determinism import threads

threads.pin()

import argparse  # noqa: E402
import os  # noqa: E402
import random  # noqa: E402
import secrets  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections import Counter, defaultdict  # noqa: E402
from collections.abc import Callable, Iterator, Sequence  # noqa: E402
from contextlib import ExitStack, closing, contextmanager  # noqa: E402
from functools import cache  # noqa: E402
from pathlib import Path  # noqa: E402
from tempfile import TemporaryDirectory  # noqa: E402
from typing import Any, NamedTuple  # noqa: E402

import psutil  # noqa: E402

import airtoll  # noqa: E402
from controller.execution.processes import CHANNEL_SERVER  # noqa: E402
from controller.run_folder.reader import RunFolder  # noqa: E402
from controller.run_folder.status import ACTIVE_STATES, FINAL_STATES, RunStatus, State  # noqa: E402
from controller.service.run_process_handle import RunProcessHandle  # noqa: E402
from controller.service.store import Run, Store  # noqa: E402
from tests.postgres import postgres_server  # noqa: E402
from tests.system.pool import WorkerProcess, WorkerProcesses  # noqa: E402
from tests.system.service import Service, serving  # noqa: E402

LATEST_S = 0.3  # the kill comes at a random time within this after its victim has started
TIMEOUT_S = 3.0  # for another process than the controller to start
CONSISTENT_WITHIN_S = 30.0  # only what stays inconsistent is an error
ALL_END_WITHIN_S = 180.0
WAITING = 3  # runs that have not ended, at least, before each kill
WORKERS = ("channel",) * 2 + ("agent",) * 4  # more of each than a run takes
_MARK = "AIRTOLL_CHAOS"  # in the environment of every process of these runs

_CELL = {"name": "d2d_underlay", "pairs": 3, "rbs": 2}
_SMALL = {"actor_hidden": [16, 8], "critic_hidden": [16, 16, 8], "batch": 8, "upload_every_slots": 5}
RUNS: dict[str, dict[str, Any]] = {
    "one process": {"world": _CELL, "scheme": "li2020/sla", "slots": 3000, "placement": "in-process"},
    "processes": {"world": _CELL, "scheme": "li2020/sla", "slots": 1200},
    "with checkpoints": {"world": _CELL, "scheme": "li2020/sla", "slots": 1200, "checkpoint_every": 150},
    "pooled": {
        "world": _CELL,
        "scheme": "li2020/sla",
        "slots": 1200,
        "placement": "pool",
        "checkpoint_every": 150,
        "on_channel_server_loss": "rollback",
    },
    "never lost": {
        "world": _CELL,
        "scheme": {"name": "li2020/maac", "push_every_slots": 20, **_SMALL},
        "phases": {"warmup": 50, "train": 350, "eval": 100},
        "train_delay_slots": 3,
        "checkpoint_every": 100,
        "on_node_loss": {"action": "rollback", "max_restarts": 100},
        "on_channel_server_loss": "rollback",
    },
}


class Victim(NamedTuple):
    """A process that may be killed, and its run. A worker has no run; the controller has neither run nor name."""

    pid: int
    run_id: str = ""
    name: str = ""


class Aftermath(NamedTuple):
    """The errors, one line each; what was killed, in order; the end states of each kind of run."""

    faults: list[str]
    killed: list[str]
    ends: dict[str, Counter[str]]


class Scene:
    """A controller, the runs submitted to it, and the names of the processes of each run that were killed."""

    def __init__(self, data: Path, url: str, rng: random.Random, *, waiting: int, of: Sequence[str]) -> None:
        self.data = data
        self.rng = rng
        self.of = of
        self.waiting = waiting
        self.kinds: dict[str, str] = {}  # by run's id
        self.hits: defaultdict[str, set[str]] = defaultdict(set)  # names of what was killed, by run's id
        self.service: Service
        self.mark = secrets.token_hex(8)
        self._url = url
        self._configs: dict[str, Any] = {}
        self._ended: dict[str, Run] = {}
        self._stack = ExitStack()
        data.mkdir(parents=True, exist_ok=True)
        self.pool = WorkerProcesses(data, **{_MARK: self.mark})
        for role in WORKERS if "pooled" in of else ():
            self.pool.start(role)

    def start(self) -> None:
        """Start the controller, or start it again."""
        on_loss = self.rng.choice(["fail", "resume"])
        environment = {_MARK: self.mark, "AIRTOLL_DB": self._url}
        words = ("--at-once", "2", "--on-loss", on_loss, "--pool", self.pool.endpoint)
        serve = serving(self.data, *words, **environment)
        self.service = self._stack.enter_context(serve)
        self._store = self._stack.enter_context(closing(Store(self._url)))

    def close(self) -> None:
        """End the controller, run processes and workers."""
        self._stack.close()
        self.pool.close()

    def replace(self, worker: WorkerProcess) -> None:
        """Kill a worker with all its processes, and start another."""
        for run in self.runs():
            if run.state in ACTIVE_STATES and self.kinds[run.id] == "pooled":
                self.hits[run.id].add("worker")
        worker.kill()
        self.pool.start(worker.role)

    def submit(self) -> None:
        """Submit runs until enough have not ended."""
        while sum(run.state not in FINAL_STATES for run in self.runs()) < self.waiting:
            kind = self.rng.choice(self.of)
            run = self.service.client.submit(RUNS[kind])
            self.kinds[run["id"]], self._configs[run["id"]] = kind, run["config"]

    def runs(self) -> list[Run]:
        """The runs in the index, whether the controller is alive or not."""
        return self._store.page(limit=10_000)[0]

    def faults(self) -> list[str]:
        """What is inconsistent at present."""
        runs = self.runs()
        faults = [*self._lost(runs), *(line for run in runs for line in self._inconsistent(run))]
        self._ended |= {run.id: run for run in runs if run.state in FINAL_STATES and not faults}
        return faults

    def _lost(self, runs: list[Run]) -> Iterator[str]:
        known = {run.id: run for run in runs}
        for run_id in self.kinds:
            if run_id not in known:
                yield f"{run_id} is lost"
            elif known[run_id].config != self._configs[run_id]:
                yield f"{run_id} has another configuration"
        yield from (
            f"{end.id} was {end} and is {known.get(end.id)}" for end in self._ended.values() if known[end.id] != end
        )

    def _inconsistent(self, run: Run) -> Iterator[str]:
        """Where a run's index, folder and processes disagree."""
        process = run_process_of(run)
        status = RunStatus.read(run.folder)
        if run.state is State.PENDING and (process or status):
            yield f"{run.id} is PENDING, its process {process}, its folder {status}"
        if run.state in ACTIVE_STATES and not process:
            yield f"{run.id} is {run.state.value} without a run process"
        if run.state in FINAL_STATES:
            if process or status is None or (status.state, status.slot) != (run.state, run.slot):
                yield f"{run.id} is {run.state.value} at slot {run.slot}, its process {process}, its folder {status}"
            if run.id not in self._ended:
                yield from self._unexplained(run)

    def _unexplained(self, run: Run) -> Iterator[str]:
        hits = self.hits[run.id]
        if run.state is State.SUCCEEDED:
            yield from _not_whole(run, RUNS[self.kinds[run.id]])
        elif run.state is not State.FAILED or not any(hit in run.reason for hit in hits):
            yield f"{run.id} {run.state.value}: {run.reason!r}, but killed were {sorted(hits) or 'none of its own'}"


def _controller(scene: Scene) -> list[Victim]:
    return [Victim(scene.service.process.pid)]


def _run_processes(scene: Scene) -> list[Victim]:
    found = [(run, run_process_of(run)) for run in scene.runs() if run.state in ACTIVE_STATES]
    return [Victim(pid, run.id, "run process") for run, pid in found if pid]


def _workers(scene: Scene) -> list[Victim]:
    return [Victim(worker.process.pid, name=worker.name) for worker in _living(scene)]


def _living(scene: Scene) -> list[WorkerProcess]:
    return [worker for worker in scene.pool.workers if worker.process.poll() is None]


def _named(matches: Callable[[str], bool]) -> Callable[[Scene], list[Victim]]:
    """Finds processes below the run processes by their names."""

    def find(scene: Scene) -> list[Victim]:
        return [
            Victim(process.pid, run_process.run_id, name)
            for run_process in _run_processes(scene)
            for name, process in _below(run_process.pid)
            if matches(name)
        ]

    return find


VICTIMS: dict[str, Callable[[Scene], list[Victim]]] = {
    "controller": _controller,
    "run process": _run_processes,
    "trainer": _named(lambda name: name == "trainer"),
    "channel server": _named(lambda name: name == CHANNEL_SERVER),
    "agent": _named(lambda name: name.startswith("pair-")),
    "worker": _workers,
}


def main() -> int:
    """Print what was killed, how the runs ended and all errors; 1 if there are any."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--postgres", action="store_true", help="the index in PostgreSQL")
    options = parser.parse_args()
    began = time.monotonic()
    with TemporaryDirectory() as folder, _database(Path(folder), postgres=options.postgres) as url:
        aftermath = kill_and_check(Path(folder) / "data", url, kills=options.kills, seed=options.seed)
    killed = Counter(aftermath.killed)
    print(
        f"{killed.total()} kills in {time.monotonic() - began:.0f} s: " + ", ".join(f"{killed[n]} {n}" for n in VICTIMS)
    )
    for kind, ends in aftermath.ends.items():
        print(f"  {kind:12} {ends.total():3} runs: " + ", ".join(f"{ends[end]} {end}" for end in sorted(ends)))
    print(
        "\n".join(aftermath.faults) or "after each kill all runs were consistent, no run was lost, no process is left"
    )
    return int(bool(aftermath.faults))


def kill_and_check(
    data: Path, url: str, *, kills: int, seed: int, waiting: int = WAITING, of: Sequence[str] = tuple(RUNS)
) -> Aftermath:
    """Kill so many processes around a controller with the data folder `data`, and check the runs. `waiting`: so many
    runs, `of` these kinds, have not ended before each kill."""
    scene = Scene(data, url, random.Random(seed), waiting=waiting, of=of)
    faults, killed = [], []
    with closing(scene):
        scene.start()
        for number in range(kills):
            scene.submit()
            who = _kill_one(scene)
            killed.append(who)
            faults += [f"kill {number}, {who}: {fault}" for fault in _lasting(scene, CONSISTENT_WITHIN_S, Scene.faults)]
        faults += [f"at the end: {line}" for line in _lasting(scene, ALL_END_WITHIN_S, _not_ended)]
        faults += [f"at the end: {line}" for line in _lasting(scene, CONSISTENT_WITHIN_S, Scene.faults)]
        ends = _ends(scene)
        scene.service.kill()
        scene.pool.close()
        faults += [f"left behind: {line}" for line in _lasting(scene, CONSISTENT_WITHIN_S, _processes)]
    return Aftermath(faults, killed, ends)


def run_process_of(run: Run) -> int:
    """The pid of a run's run process; 0 if there is none."""
    process = RunProcessHandle.find(run.folder)
    if process is None:
        return 0
    process.close()
    return process.pid


def _kill_one(scene: Scene) -> str:
    """Kill a random process of a random kind; the kind."""
    while True:
        kind = scene.rng.choice(_present(scene))
        time.sleep(scene.rng.uniform(0.0, LATEST_S))
        victims = sorted(VICTIMS[kind](scene))
        if victims and _kill(scene, scene.rng.choice(victims)):
            return kind


def _present(scene: Scene) -> list[str]:
    """The kinds that have a process; waits for a run that is about to begin."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        found = [kind for kind, victims in VICTIMS.items() if victims(scene)]
        if len(found) > 1 or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def _kill(scene: Scene, victim: Victim) -> bool:
    """Kill a process; False if it was gone already."""
    if not victim.name:
        scene.service.kill()
        scene.start()
        return True
    if not victim.run_id:
        scene.replace(next(worker for worker in _living(scene) if worker.name == victim.name))
        return True
    try:
        os.kill(victim.pid, 9)
    except ProcessLookupError:
        return False
    scene.hits[victim.run_id].add(victim.name)
    return True


def _lasting(scene: Scene, within_s: float, check: Callable[[Scene], list[str]]) -> list[str]:
    """The errors that `check` still finds after `within_s`; empty as soon as it finds none."""
    deadline = time.monotonic() + within_s
    while (faults := check(scene)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return faults


def _not_ended(scene: Scene) -> list[str]:
    return [f"{run.id} is {run.state.value}" for run in scene.runs() if run.state not in FINAL_STATES]


def _processes(scene: Scene) -> list[str]:
    """The processes that have the scene's mark in their environment."""
    return [f"{process.pid} {process.name()}" for process in psutil.process_iter() if _has_mark(process, scene.mark)]


def _has_mark(process: psutil.Process, mark: str) -> bool:
    try:
        return process.environ().get(_MARK) == mark
    except psutil.Error:
        return False


def _below(pid: int) -> list[tuple[str, psutil.Process]]:
    try:
        return [(process.name(), process) for process in psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return []


def _ends(scene: Scene) -> dict[str, Counter[str]]:
    ends: dict[str, Counter[str]] = {kind: Counter() for kind in RUNS}
    for run in scene.runs():
        ends[scene.kinds[run.id]][run.state.value] += 1
    return ends


def _not_whole(run: Run, config: dict[str, Any]) -> Iterator[str]:
    """What is wrong with a run that succeeded. One that lost no node has the trace of the same run undisturbed."""
    folder = RunFolder.open(run.folder)
    if (
        folder.meta.state is not State.SUCCEEDED
        or len({run.trace_digest, folder.trace_digest(), folder.summary["trace_digest"]}) > 1
    ):
        yield f"{run.id} SUCCEEDED, but its folder is incomplete"
    if not any(event.event == "lost" for event in folder.events()) and run.trace_digest != _undisturbed(repr(config)):
        yield f"{run.id} SUCCEEDED with another trace than the same run undisturbed"


@cache
def _undisturbed(config: str) -> str:
    """The trace digest of an undisturbed run."""
    [described] = [run for run in RUNS.values() if repr(run) == config]
    with TemporaryDirectory() as at:
        summary = airtoll.run(described, folder=Path(at) / "run", placement="in-process", checkpoint_every=0)
    return str(summary["trace_digest"])


@contextmanager
def _database(folder: Path, *, postgres: bool) -> Iterator[str]:
    if not postgres:
        yield f"sqlite:///{folder / 'runs.db'}"
        return
    with postgres_server() as server:
        yield server.database()


if __name__ == "__main__":
    sys.exit(main())
