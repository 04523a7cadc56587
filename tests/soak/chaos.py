"""Kills agents, the trainer and the channel server of a learning run at random moments, and asks what is left of it.

The run is `airtoll run` with checkpoints; agents are started again, the loss of the trainer or the channel server rolls
the run back. When it is over: it is done, its replay has the same trace, the trainer holds every history that it
acknowledged, and no process, socket file or shared memory is left.

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
from controller.execution.building import build_world  # noqa: E402
from controller.execution.processes import CHANNEL_SERVER  # noqa: E402
from controller.run_folder.folder import RunFolder  # noqa: E402
from protocol.accounting.trace import ROW, TraceField  # noqa: E402
from protocol.determinism.snapshots import unpack  # noqa: E402
from protocol.messages.kinds import Kind  # noqa: E402
from protocol.messages.node import Note  # noqa: E402
from protocol.messages.plan import RunPlan  # noqa: E402
from schemes.parts.history import VALID, Joiner, Layout  # noqa: E402

SLOTS_PER_KILL = 100
SPARED_SLOTS = 500
POLL_INTERVAL_S = 0.02
LATEST_S = 0.25  # after its mark, a kill comes at a random moment within this time
OUTLIVE_S = 5.0  # within which the last helpers of a command notice its end
VICTIMS = (CHANNEL_SERVER, "trainer")  # and the pairs
_SHARED_MEMORY = Path("/dev/shm")


class Aftermath(NamedTuple):
    """What is wrong, one line each, and what was killed, in order."""

    faults: list[str]
    killed: list[str]


def main() -> int:
    """Print what was killed and what is wrong; 1 if anything is."""
    asked = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    asked.add_argument("--kills", type=int, default=200)
    asked.add_argument("--seed", type=int, default=1)
    given = asked.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        began = time.monotonic()
        faults, killed = wreak(Path(folder), settings(given.kills, given.seed), kills=given.kills, seed=given.seed)
    counts = ", ".join(f"{killed.count(name)} of {name}" for name in sorted(set(killed)))
    print(f"{len(killed)} kills in {time.monotonic() - began:.0f} s: {counts}")
    print("\n".join(faults) or "the run is done, replays to its trace, lost no acknowledged history and left nothing")
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
        "on_node_loss": {"policy": "restart", "trainer": "rollback", "max_restarts": 10 * kills},
        "on_channel_server_loss": "rollback",
        "record": {"values": True},
    }


def wreak(at: Path, described: dict[str, Any], *, kills: int, seed: int) -> Aftermath:
    """Play the run in the folder `at`, kill so many of its processes, and look at what is left."""
    config, folder, temporary = at / "run.yaml", at / "run", at / "tmp"
    config.write_text(yaml.safe_dump(described), "utf-8")
    temporary.mkdir()
    rng = random.Random(seed)
    before = set(_SHARED_MEMORY.iterdir())
    command = [sys.executable, "-m", "airtoll", "run", str(config), "--out", str(folder)]
    environment = os.environ | {"TMPDIR": str(temporary)}
    with (at / "said.txt").open("wb") as said:
        run = subprocess.Popen(command, stdout=said, stderr=said, env=environment, start_new_session=True)
        killed = list(_kills(run, folder, _marks(described, kills, rng), rng))
        run.wait()
    sockets = [path for path in temporary.rglob("*") if path.is_socket()]
    left = [*_processes_of(run.pid), *sockets, *set(_SHARED_MEMORY.iterdir()) - before]
    faults = [f"left behind: {thing}" for thing in left]
    faults += [f"only {len(killed)} of {kills} kills before the run was over"] if len(killed) < kills else []
    faults += [(at / "said.txt").read_text("utf-8")] if run.returncode else []
    return Aftermath([*faults, *_faults_of(RunFolder.open(folder))], killed)


def _marks(described: dict[str, Any], kills: int, rng: random.Random) -> list[int]:
    """Slots, in order; the last ones are spared, for the last kill shall not come too late."""
    slots = sum(described["phases"].values())
    return sorted(rng.randrange(max(1, slots - SPARED_SLOTS)) for _ in range(kills))


def _kills(run: subprocess.Popen[bytes], folder: Path, marks: list[int], rng: random.Random) -> Iterator[str]:
    """Kill somebody whenever the run has passed a mark; whom."""
    while marks and run.poll() is None:
        time.sleep(POLL_INTERVAL_S)
        if _slot(folder) >= marks[0]:
            time.sleep(rng.uniform(0.0, LATEST_S))
            if killed := _kill_one(run.pid, rng):
                del marks[0]
                yield killed


def _kill_one(command: int, rng: random.Random) -> str:
    """Kill the channel server or a node; its name, or "" when there is none just now."""
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
    """The last slot in the trace so far."""
    try:
        with (folder / "trace.bin").open("rb") as trace:
            rows = os.fstat(trace.fileno()).st_size // ROW.itemsize
            trace.seek(max(0, rows - 1) * ROW.itemsize)
            last = np.frombuffer(trace.read(ROW.itemsize), ROW)
    except FileNotFoundError:
        return -1
    return int(last["slot"][0]) if len(last) else -1


def _processes_of(command: int) -> list[str]:
    """Processes of a command that led a session of its own, and outlive it."""
    _, alive = psutil.wait_procs([p for p in psutil.process_iter() if _session(p) == command], timeout=OUTLIVE_S)
    return [process.name() for process in alive if process.status() != psutil.STATUS_ZOMBIE]


def _session(process: psutil.Process) -> int:
    try:
        return os.getsid(process.pid)
    except ProcessLookupError:
        return -1


def _faults_of(folder: RunFolder) -> Iterator[str]:
    """What is wrong with a run's results."""
    state = folder.meta["state"]
    if state != "SUCCEEDED":
        yield f"the run {state}: {folder.meta['reason']}"
        return
    replay = [sys.executable, "-m", "airtoll", "replay", str(folder.path)]
    replayed = subprocess.run(replay, capture_output=True, text=True)
    if replayed.returncode:
        yield f"the replay differs: {replayed.stdout}"
    held, acknowledged = _slots_learnt_from(folder)
    if held != acknowledged:
        yield f"the trainer holds {held} slots, but acknowledged histories of {acknowledged}"


def _slots_learnt_from(folder: RunFolder) -> tuple[int, int]:
    """Valid slots that the trainer held at the newest checkpoint, and those that a fresh joiner makes of all histories
    that it had acknowledged by then.

    What the trainer is told in slot t it answers in slot t + train_delay_slots, and its acknowledgements are traced
    there.
    """
    checkpoint = folder.checkpoints.read(folder.checkpoints.slots[0])
    plan = folder.config.plan("chaos")
    trainer = len(folder.names) - 1 - folder.names[::-1].index("trainer")
    held = unpack(checkpoint.nodes[trainer])["policy"]["learner"]["replay"]["counted"]
    joiner, acknowledged = Joiner(_layouts(plan, trainer)), 0
    sent: dict[tuple[int, int | None], bytes] = {}  # by agent and sequence number
    for slot, source, note in _notes(folder):
        if note.kind == Kind.HISTORY:
            sent[source, note.sequence] = note.body
        elif note.kind == Kind.ACK and source == trainer and slot < checkpoint.slot + plan.train_delay_slots:
            (agent,) = note.to
            joiner.add(agent, sent[agent, note.sequence])
            acknowledged += sum(int(np.all(joint.flags & VALID, axis=1).sum()) for joint in joiner.take())
    return held, acknowledged


def _notes(folder: RunFolder) -> Iterator[tuple[int, int, Note]]:
    """Slot, source and note of all that was told, in the order of the trace."""
    decode = msgspec.msgpack.Decoder(list[Note]).decode
    for slot, _, source, field, value in read_arrays(folder.path / "values.msgpack", 5):
        if field == TraceField.NOTES:
            yield from ((slot, source, note) for note in decode(value))


def _layouts(plan: RunPlan, trainer: int) -> list[Layout]:
    scheme = scheme_named(plan.scheme)
    assert scheme.training is not None
    params: Any = msgspec.convert(plan.scheme_params, scheme.params)
    return scheme.training(welcome(plan, build_world(plan), trainer), params).layouts


if __name__ == "__main__":
    sys.exit(main())
