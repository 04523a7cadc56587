"""Kills controller, run processes, trainers, channel servers, agents, pool workers at random, and asks what is true then.

Short runs are kept in the queue, with checkpoints and without, here and on a pool. A controller that was killed is
started again, to let lost runs fail or to have them go on, by turns at random; a worker that was killed is replaced.
After each kill: the index opens and has lost nothing, every run's state is true of its folder and its processes. When
it is over: every run has come to an end that its kills explain, those that succeeded are whole and have the trace of
the same run left alone, and no process is left.

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
from controller.run_folder.status import AT_WORK, ENDS, RunStatus, State  # noqa: E402
from controller.service.run_process_handle import RunProcessHandle  # noqa: E402
from controller.service.store import Run, Store  # noqa: E402
from tests.postgres import postgres_server  # noqa: E402
from tests.system.pool import Pool, Worker  # noqa: E402
from tests.system.service import Service, serving  # noqa: E402

LATEST_S = 0.3  # after its victim is there, a kill comes at a random moment within this time
TIMEOUT_S = 3.0  # for somebody else than the controller to be there
TRUE_WITHIN_S = 30.0  # what is untrue for a moment is not a fault; what stays so is
ALL_END_WITHIN_S = 180.0
WAITING = 3  # runs that have not ended, at least, before each kill
WORKERS = ("channel",) * 2 + ("agent",) * 4  # more of each than a run takes
_MARK = "AIRTOLL_CHAOS"  # in the environment of every process of these runs

_CELL = {"name": "d2d_underlay", "pairs": 3, "rbs": 2}
_SMALL = {"actor_hidden": [16, 8], "critic_hidden": [16, 16, 8], "batch": 8, "upload_every_slots": 5}
RUNS: dict[str, dict[str, Any]] = {
    "one process": {"world": _CELL, "scheme": "li2020/sla", "slots": 3000, "placement": "in-process"},
    "processes": {"world": _CELL, "scheme": "li2020/sla", "slots": 1200},
    "kept": {"world": _CELL, "scheme": "li2020/sla", "slots": 1200, "checkpoint_every": 150},
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
        "on_node_loss": {"policy": "rollback", "max_restarts": 100},
        "on_channel_server_loss": "rollback",
    },
}


class Victim(NamedTuple):
    """A process that may be killed, and the run that it is of. A worker is of none; the controller has no name, too."""

    pid: int
    run_id: str = ""
    name: str = ""


class Aftermath(NamedTuple):
    """What is wrong, one line each; what was killed, in order; the ends of each kind of run."""

    faults: list[str]
    killed: list[str]
    ends: dict[str, Counter[str]]


class Scene:
    """A controller under attack: what was submitted to it, what it said, who was hit."""

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
        self.pool = Pool(data, **{_MARK: self.mark})
        for role in WORKERS if "pooled" in of else ():
            self.pool.start(role)

    def start(self) -> None:
        """The controller, once more."""
        on_loss = self.rng.choice(["fail", "resume"])
        environment = {_MARK: self.mark, "AIRTOLL_DB": self._url}
        words = ("--at-once", "2", "--on-loss", on_loss, "--pool", self.pool.endpoint)
        serve = serving(self.data, *words, **environment)
        self.service = self._stack.enter_context(serve)
        self._store = self._stack.enter_context(closing(Store(self._url)))

    def close(self) -> None:
        """End it, run processes and workers included."""
        self._stack.close()
        self.pool.close()

    def replace(self, worker: Worker) -> None:
        """Kill a worker with all that it has started; another one comes."""
        for run in self.runs():
            if run.state in AT_WORK and self.kinds[run.id] == "pooled":
                self.hits[run.id].add("worker")
        worker.kill()
        self.pool.start(worker.role)

    def submit(self) -> None:
        """Runs, until enough have not ended."""
        while sum(run.state not in ENDS for run in self.runs()) < self.waiting:
            kind = self.rng.choice(self.of)
            run = self.service.client.submit(RUNS[kind])
            self.kinds[run["id"]], self._configs[run["id"]] = kind, run["config"]

    def runs(self) -> list[Run]:
        """As the index has them, whether the controller lives or not."""
        return self._store.page(limit=10_000)[0]

    def faults(self) -> list[str]:
        """What is not as it should be, just now."""
        runs = self.runs()
        told = [*self._lost(runs), *(line for run in runs for line in self._untrue(run))]
        self._ended |= {run.id: run for run in runs if run.state in ENDS and not told}
        return told

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

    def _untrue(self, run: Run) -> Iterator[str]:
        """What the index says of a run, and its folder or its processes do not."""
        process = run_process_of(run)
        status = RunStatus.read(run.folder)
        if run.state is State.PENDING and (process or status):
            yield f"{run.id} is PENDING, its process {process}, its folder {status}"
        if run.state in AT_WORK and not process:
            yield f"{run.id} is {run.state.value} without a run process"
        if run.state in ENDS:
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
    found = [(run, run_process_of(run)) for run in scene.runs() if run.state in AT_WORK]
    return [Victim(pid, run.id, "run process") for run, pid in found if pid]


def _workers(scene: Scene) -> list[Victim]:
    return [Victim(worker.process.pid, name=worker.name) for worker in _living(scene)]


def _living(scene: Scene) -> list[Worker]:
    return [worker for worker in scene.pool.workers if worker.process.poll() is None]


def _named(of_run: Callable[[str], bool]) -> Callable[[Scene], list[Victim]]:
    """Processes below the run processes by what they are called."""

    def find(scene: Scene) -> list[Victim]:
        return [
            Victim(process.pid, run_process.run_id, name)
            for run_process in _run_processes(scene)
            for name, process in _below(run_process.pid)
            if of_run(name)
        ]

    return find


# Who may be killed.
VICTIMS: dict[str, Callable[[Scene], list[Victim]]] = {
    "controller": _controller,
    "run process": _run_processes,
    "trainer": _named(lambda name: name == "trainer"),
    "channel server": _named(lambda name: name == CHANNEL_SERVER),
    "agent": _named(lambda name: name.startswith("pair-")),
    "worker": _workers,
}


def main() -> int:
    """Print who was killed, how the runs ended and what is wrong; 1 if anything is."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--kills", type=int, default=50)
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--postgres", action="store_true", help="the index in PostgreSQL")
    given = asked.parse_args()
    began = time.monotonic()
    with TemporaryDirectory() as folder, _database(Path(folder), postgres=given.postgres) as url:
        aftermath = wreak(Path(folder) / "data", url, kills=given.kills, seed=given.seed)
    killed = Counter(aftermath.killed)
    print(
        f"{killed.total()} kills in {time.monotonic() - began:.0f} s: " + ", ".join(f"{killed[n]} {n}" for n in VICTIMS)
    )
    for kind, ends in aftermath.ends.items():
        print(f"  {kind:12} {ends.total():3} runs: " + ", ".join(f"{ends[end]} {end}" for end in sorted(ends)))
    print("\n".join(aftermath.faults) or "every state was true after each kill, nothing was lost, no process is left")
    return int(bool(aftermath.faults))


def wreak(
    data: Path, url: str, *, kills: int, seed: int, waiting: int = WAITING, of: Sequence[str] = tuple(RUNS)
) -> Aftermath:
    """Kill so many processes around a controller whose runs lie in `data`, and look. `waiting`: so many runs, `of`
    these kinds, have not ended before a kill."""
    scene = Scene(data, url, random.Random(seed), waiting=waiting, of=of)
    faults, killed = [], []
    with closing(scene):
        scene.start()
        for number in range(kills):
            scene.submit()
            who = _kill_one(scene)
            killed.append(who)
            faults += [f"kill {number}, {who}: {fault}" for fault in _staying(scene, TRUE_WITHIN_S, Scene.faults)]
        faults += [f"at the end: {line}" for line in _staying(scene, ALL_END_WITHIN_S, _not_ended)]
        faults += [f"at the end: {line}" for line in _staying(scene, TRUE_WITHIN_S, Scene.faults)]
        ends = _ends(scene)
        scene.service.kill()
        scene.pool.close()
        faults += [f"left behind: {line}" for line in _staying(scene, TRUE_WITHIN_S, _processes)]
    return Aftermath(faults, killed, ends)


def run_process_of(run: Run) -> int:
    """The process that keeps a run; 0 if there is none."""
    process = RunProcessHandle.find(run.folder)
    if process is None:
        return 0
    process.close()
    return process.pid


def _kill_one(scene: Scene) -> str:
    """Kill somebody of a kind that is there; which kind."""
    while True:
        kind = scene.rng.choice(_present(scene))
        time.sleep(scene.rng.uniform(0.0, LATEST_S))
        victims = sorted(VICTIMS[kind](scene))
        if victims and _kill(scene, scene.rng.choice(victims)):
            return kind


def _present(scene: Scene) -> list[str]:
    """The kinds of which somebody is there; a run that is about to begin is waited for."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        found = [kind for kind, victims in VICTIMS.items() if victims(scene)]
        if len(found) > 1 or time.monotonic() > deadline:
            return found
        time.sleep(0.05)


def _kill(scene: Scene, victim: Victim) -> bool:
    """False for one that was gone before."""
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


def _staying(scene: Scene, within_s: float, look: Callable[[Scene], list[str]]) -> list[str]:
    """What is still told after a while; nothing as soon as nothing is."""
    deadline = time.monotonic() + within_s
    while (told := look(scene)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return told


def _not_ended(scene: Scene) -> list[str]:
    return [f"{run.id} is {run.state.value}" for run in scene.runs() if run.state not in ENDS]


def _processes(scene: Scene) -> list[str]:
    """Processes that bear the scene's mark."""
    return [f"{process.pid} {process.name()}" for process in psutil.process_iter() if _bears(process, scene.mark)]


def _bears(process: psutil.Process, mark: str) -> bool:
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
    """What a run that succeeded lacks. One that lost no node for good has the trace of the same run left alone."""
    folder = RunFolder.open(run.folder)
    if (
        folder.meta.state is not State.SUCCEEDED
        or len({run.trace_digest, folder.trace_digest(), folder.summary["trace_digest"]}) > 1
    ):
        yield f"{run.id} SUCCEEDED, but its folder is not whole"
    if not any(event.event == "lost" for event in folder.events()) and run.trace_digest != _undisturbed(repr(config)):
        yield f"{run.id} SUCCEEDED with another trace than the same run left alone"


@cache
def _undisturbed(config: str) -> str:
    """The trace's digest of a run that nobody disturbs."""
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
