"""Kills agents, the trainer and the channel server of a learning run at random moments, and checks the results.

The run is `airtoll run` with checkpoints; lost agents are restarted, and the loss of the trainer or the channel server
rolls the run back. Checked at the end: the run has succeeded, its replay has the same trace, the trainer holds every
history that it acknowledged, and no process, socket file or shared memory is left behind.

    python -m tests.soak.chaos --kills 200 --seed 1
"""

from protocol.determinism import threads

threads.pin()

import argparse  # noqa: E402
import os  # noqa: E402
import random  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from collections.abc import Iterator  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any, NamedTuple  # noqa: E402

import msgspec  # noqa: E402
import numpy as np  # noqa: E402
import psutil  # noqa: E402
import yaml  # noqa: E402

from airtoll.analysis.streams import read_arrays  # noqa: E402
from channel_server.welcome import welcome  # noqa: E402
from controller.config.catalogue import scheme_named  # noqa: E402
from controller.config.resolved import load  # noqa: E402
from controller.execution.building import build_world  # noqa: E402
from controller.execution.processes import CHANNEL_SERVER  # noqa: E402
from controller.joined_histories import timeout_slots  # noqa: E402
from controller.run_folder.reader import RunFolder  # noqa: E402
from controller.run_folder.status import State  # noqa: E402
from protocol.accounting.trace import ROW, TraceField  # noqa: E402
from protocol.determinism.snapshots import unpack  # noqa: E402
from protocol.messages.kinds import Kind  # noqa: E402
from protocol.messages.node import Note  # noqa: E402
from protocol.messages.plan import RunPlan  # noqa: E402
from schemes.contract import Join  # noqa: E402
from schemes.parts.history import read_chunk  # noqa: E402
from schemes.parts.joiner import Joiner  # noqa: E402

SLOTS_PER_KILL = 100
SPARED_SLOTS = 500  # at the end of the run, so that the last kill does not come too late
POLL_INTERVAL_S = 0.02
MAX_DELAY_S = 0.25  # a kill comes at a random moment within this time after its slot
EXIT_TIMEOUT_S = 20.0  # the last helper processes of a command may exit this much later
VICTIMS = (CHANNEL_SERVER, "trainer")  # and the pairs
_SHARED_MEMORY = Path("/dev/shm")


class ChaosResult(NamedTuple):
    """The faults found, one line each, and the names of the killed processes, in order."""

    faults: list[str]
    killed: list[str]


def main() -> int:
    """Print the kills and the faults; 1 if there are any faults."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        faults, killed = run_with_kills(
            Path(folder), settings(options.kills, options.seed), kills=options.kills, seed=options.seed
        )
    counts = ", ".join(f"{killed.count(name)} of {name}" for name in sorted(set(killed)))
    print(f"{len(killed)} kills in {time.monotonic() - began:.0f} s: {counts}")
    print(
        "\n".join(faults)
        or "the run succeeded, its replay has the same trace, no acknowledged history was lost, nothing was left behind"
    )
    return int(bool(faults))


def settings(kills: int, seed: int, *, slots_per_kill: int = SLOTS_PER_KILL) -> dict[str, Any]:
    """A learning run with small networks, long enough for so many kills."""
    slots = kills * slots_per_kill
    networks = {"actor_hidden": [16, 8], "critic_hidden": [16, 16, 8], "batch": 8}
    often = {"upload_every_slots": 5, "push_every_slots": 10, "replay_capacity": 2 * slots}
    return {
        "world": {"name": "d2d_underlay", "pairs": 3, "rbs": 3},
        "scheme": {"name": "li2020/maac", **networks, **often},
        "seed": seed,
        "phases": {"warmup": slots // 10, "train": slots - slots // 10, "eval": slots // 10},
        "train_delay_slots": 3,
        "checkpoint_every": max(1, slots_per_kill // 2),
        "on_node_loss": {"action": "restart", "trainer": "rollback", "max_restarts": 10 * kills},
        "on_channel_server_loss": "rollback",
        "record": {"values": True},
    }


def run_with_kills(at: Path, config_data: dict[str, Any], *, kills: int, seed: int) -> ChaosResult:
    """Run in the folder `at`, kill so many of its processes, and check the results."""
    config, folder = at / "run.yaml", at / "run"
    config.write_text(yaml.safe_dump(config_data), "utf-8")
    rng = random.Random(seed)
    before = _shared_memory()
    command = [sys.executable, "-m", "airtoll", "run", str(config), "--out", str(folder)]
    # Not inside `at`: the path of a UNIX socket, which the forkserver creates there, has at most 107 characters.
    with tempfile.TemporaryDirectory() as temporary, (at / "output.txt").open("wb") as output:
        environment = os.environ | {"TMPDIR": temporary}
        run = subprocess.Popen(command, stdout=output, stderr=output, env=environment, start_new_session=True)
        killed = list(_kills(run, folder, _kill_slots(config_data, kills, rng), rng))
        run.wait()
        sockets = [path for path in Path(temporary).rglob("*") if path.is_socket()]
    left = [*_processes_of(run.pid), *sockets, *_shared_memory() - before]
    faults = [f"left behind: {thing}" for thing in left]
    faults += [f"only {len(killed)} of {kills} kills before the run ended"] if len(killed) < kills else []
    faults += [(at / "output.txt").read_text("utf-8")] if run.returncode else []
    return ChaosResult([*faults, *_faults_of(RunFolder.open(folder))], killed)


def _kill_slots(config_data: dict[str, Any], kills: int, rng: random.Random) -> list[int]:
    """The slots after which a process is killed, in order."""
    slots = sum(config_data["phases"].values())
    return sorted(rng.randrange(max(1, slots - SPARED_SLOTS)) for _ in range(kills))


def _kills(run: subprocess.Popen[bytes], folder: Path, kill_slots: list[int], rng: random.Random) -> Iterator[str]:
    """Kill a process whenever the run has passed the next of `kill_slots`; its name."""
    while kill_slots and run.poll() is None:
        time.sleep(POLL_INTERVAL_S)
        if _slot(folder) >= kill_slots[0]:
            time.sleep(rng.uniform(0.0, MAX_DELAY_S))
            if killed := _kill_one(run.pid, rng):
                del kill_slots[0]
                yield killed


def _kill_one(command: int, rng: random.Random) -> str:
    """Kill the channel server or a node; its name, or "" if none is running at the moment."""
    try:
        named = [(process.name(), process) for process in psutil.Process(command).children(recursive=True)]
        victims = [(name, process) for name, process in named if name in VICTIMS or name.startswith("pair-")]
        if not victims:
            return ""
        name, victim = rng.choice(victims)
        victim.kill()
    except psutil.NoSuchProcess:
        return ""
    return name


def _slot(folder: Path) -> int:
    """The last slot in the trace so far, -1 before the first."""
    try:
        with (folder / "trace.bin").open("rb") as trace:
            rows = os.fstat(trace.fileno()).st_size // ROW.itemsize
            trace.seek(max(0, rows - 1) * ROW.itemsize)
            last = np.frombuffer(trace.read(ROW.itemsize), ROW)
    except FileNotFoundError:
        return -1
    return int(last["slot"][0]) if len(last) else -1


def _processes_of(command: int) -> list[str]:
    """The processes left in the session that a command led."""
    _, alive = psutil.wait_procs([p for p in psutil.process_iter() if _session(p) == command], timeout=EXIT_TIMEOUT_S)
    return [process.name() for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def _shared_memory() -> set[Path]:
    """The segments of shared memory, but for those of a PostgreSQL, which a test that runs beside this may start."""
    return {segment for segment in _SHARED_MEMORY.iterdir() if not segment.name.startswith("PostgreSQL.")}


def _session(process: psutil.Process) -> int:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return -1


def _faults_of(folder: RunFolder) -> Iterator[str]:
    """What is wrong with a run's results."""
    meta = folder.meta
    if meta.state is not State.SUCCEEDED:
        yield f"the run {meta.state.value}: {meta.reason}"
        return
    replay = [sys.executable, "-m", "airtoll", "replay", str(folder.path)]
    replayed = subprocess.run(replay, capture_output=True, text=True)
    if replayed.returncode:
        yield f"the replay differs: {replayed.stdout}"
    held, acknowledged = _slots_learnt_from(folder)
    if held != acknowledged:
        yield f"the trainer holds {held} rows, but acknowledged histories of {acknowledged}"


def _slots_learnt_from(folder: RunFolder) -> tuple[int, int]:
    """Valid rows that the trainer had got by the newest checkpoint, and those that a new joiner hands out from all
    histories that the trainer had acknowledged by then.

    The trainer replies in slot t + train_delay_slots to what it receives in slot t, and its acknowledgements are traced
    there.
    """
    checkpoint = folder.checkpoints.read(folder.checkpoints.slots[0])
    plan = load(folder.config_file).plan_for("chaos")
    trainer = len(folder.names) - 1 - folder.names[::-1].index("trainer")
    held = int(unpack(checkpoint.nodes[trainer])["policy"]["learner"]["replay"]["counted"].sum())
    join, acknowledged = _join(plan, trainer), 0
    joiner = Joiner(join.layouts, timeout_slots=timeout_slots(join, plan.signalling.resend_after_slots))
    received: dict[int, list[tuple[int, bytes]]] = {}  # by slot of the acknowledgement
    sent: dict[tuple[int, int | None], bytes] = {}  # by agent and sequence number
    for slot, source, note in _notes(folder):
        if note.kind == Kind.HISTORY:
            sent[source, note.sequence] = note.body
        elif note.kind == Kind.ACK and source == trainer and slot < checkpoint.slot + plan.train_delay_slots:
            (agent,) = note.to
            received.setdefault(slot, []).append((agent, sent[agent, note.sequence]))
    for histories in received.values():  # those that the trainer has received in one turn
        for agent, body in histories:
            joiner.add(agent, read_chunk(body, join.layouts[agent]))
        acknowledged += sum(int(joint.valid.sum()) for joint in joiner.take())
    return held, acknowledged


def _notes(folder: RunFolder) -> Iterator[tuple[int, int, Note]]:
    """Slot, source and note of every note sent, in the order of the trace."""
    decode = msgspec.msgpack.Decoder(list[Note]).decode
    for slot, _, source, field, value in read_arrays(folder.path / "values.msgpack", 5):
        if field == TraceField.NOTES:
            yield from ((slot, source, note) for note in decode(value))


def _join(plan: RunPlan, trainer: int) -> Join:
    scheme = scheme_named(plan.scheme)
    assert scheme.training is not None
    params: Any = msgspec.convert(plan.scheme_params, scheme.params)
    join = scheme.training(welcome(plan, build_world(plan), trainer), params).join
    assert join is not None
    return join


if __name__ == "__main__":
    sys.exit(main())
