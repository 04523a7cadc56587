"""Mutated frames into a live run: nothing crashes, the trace stays what it was, memory stays flat.

Half of the frames come from strangers, who may say anything; the other half over the connections of two agents, who
leave out what would rightly change the run (`tests/soak/babble.py`).

    python -m tests.soak.fuzz [frames]
"""

from protocol.determinism import threads

threads.pin()

import multiprocessing  # noqa: E402
import random  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402
from typing import NamedTuple  # noqa: E402

import psutil  # noqa: E402
import zmq  # noqa: E402
from msgspec.structs import replace  # noqa: E402

from controller.config.resolved import load  # noqa: E402
from controller.execution.processes import NodeProcesses  # noqa: E402
from protocol.accounting.trace import first_divergence, read_rows  # noqa: E402
from protocol.messages.codec import encode  # noqa: E402
from protocol.messages.node import PROTOCOL_VERSION, Bye, Hello, Report  # noqa: E402
from protocol.messages.telemetry import Progress  # noqa: E402
from tests.recording import Recording, in_process  # noqa: E402
from tests.soak.babble import FIRST_SLOT, PER_ANSWER, Babbled, babble, read  # noqa: E402
from tests.soak.mutation import RECORDED_SLOTS, Parts, mutated, recorded_frames  # noqa: E402

FRAMES = 100_000
MAX_MB = 8.0
BABBLERS = {"pair-0": 1, "pair-3": 2}
UNHEARD = "connection without a frame that can be read"
_PER_CONNECTION = 500


class Fuzzed(NamedTuple):
    """What came of it. `counted`: frames that had to be counted as dropped, `dropped`: those that were. `growth_mb`: of
    the channel server's own memory meanwhile. `parting`: where the trace differs from the undisturbed run's, or "".
    """

    state: str
    counted: int
    dropped: int
    growth_mb: float
    parting: str


def fuzz(count: int) -> Fuzzed:
    """So many frames into a run that is interrupted then, and played again undisturbed, in this process."""
    plan = load(
        {
            "world": {"name": "d2d_underlay", "pairs": 4, "rbs": 3},
            "scheme": "li2020/greedy_central",
            "slots": 10**6,
            "record": {"frames_slots": RECORDED_SLOTS},
        }
    ).plan_for("fuzz")
    share, frames = count // 4, recorded_frames(plan)
    all_babbled = FIRST_SLOT + share // PER_ANSWER + 1
    recording, counted, mb = Recording(), 0, list[float]()
    with Babbled(plan, frames, BABBLERS, share) as processes:
        while recording.ended is None:
            if (telemetry := processes.receive()) is None:
                continue
            recording(telemetry)
            if not mb and isinstance(telemetry, Progress) and telemetry.slot >= FIRST_SLOT:
                mb.append(_own_mb(processes))
                counted += strangers(processes.endpoint, frames, count - share * len(BABBLERS))
            if len(mb) == 1 and isinstance(telemetry, Progress) and telemetry.slot > all_babbled:
                mb.append(_own_mb(processes))
                processes.interrupt()
    for seed in BABBLERS.values():
        counted += sum(is_counted(parts, seated=True) for parts in babble(frames, seed, share))
    undisturbed = in_process(replace(plan, replay=recording.past))
    parting = first_divergence(read_rows(recording.trace), read_rows(undisturbed.trace))
    end = recording.ended
    return Fuzzed(
        state=f"{end.state} {end.reason}".strip(),
        counted=counted,
        dropped=sum(number for reason, number in end.dropped.items() if reason != UNHEARD),
        growth_mb=mb[-1] - mb[0],
        parting="" if parting is None else str(parting),
    )


def strangers(endpoint: str, frames: list[bytes], count: int) -> int:
    """One after the other they say so many frames; how many have to be counted, with the goodbye of each."""
    rng, counted = random.Random(0), 0
    with zmq.Context() as context:
        for first in range(0, count, _PER_CONNECTION):
            said = [mutated(frames, rng) for _ in range(min(_PER_CONNECTION, count - first))]
            counted += sum(is_counted(parts, seated=False) for parts in said) + 1
            _say(context, endpoint, said, f"fuzz-end-{first}")
            _say_raw(endpoint, rng.choice(said))
    return counted


def is_counted(parts: Parts, *, seated: bool) -> bool:
    """All but a stranger's Bye, who had nothing to leave, and the Report of a node, which is taken."""
    message = None if len(parts) > 1 else read(parts[0])
    return not isinstance(message, Report if seated else Bye)


def _say(context: zmq.Context[zmq.Socket[bytes]], endpoint: str, said: list[Parts], goodbye: str) -> None:
    """All over one connection, and a Hello that is refused by its own words when all before it has been read."""
    with context.socket(zmq.DEALER) as stranger:
        stranger.setsockopt(zmq.LINGER, 0)
        stranger.setsockopt(zmq.RCVTIMEO, 30_000)
        stranger.connect(endpoint)
        for parts in said:
            stranger.send_multipart(parts)
        stranger.send(encode(Hello(PROTOCOL_VERSION, goodbye, "nobody", {})))
        while f"not {goodbye}:".encode() not in stranger.recv():
            pass


def _say_raw(endpoint: str, parts: Parts) -> None:
    """Not even ZeroMQ."""
    host, port = endpoint.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port))) as plain:
        plain.sendall(b"".join(parts))


def _own_mb(processes: NodeProcesses) -> float:
    return float(psutil.Process(processes.channel.pid).memory_full_info().uss / 1e6)


def main() -> int:
    """Print what came of it; 1 if anything did."""
    multiprocessing.set_forkserver_preload(["controller.execution.preload"])
    count = int(sys.argv[1]) if len(sys.argv) > 1 else FRAMES
    result = fuzz(count)
    print(f"{count:,} frames; the run was {result.state}")
    print(f"  dropped and counted  {result.dropped:,} of {result.counted:,}")
    print(f"  channel server       {result.growth_mb:+.1f} MB (at most +{MAX_MB})")
    print(f"  trace                {result.parting or 'as in the undisturbed run'}")
    whole = not result.parting and result.dropped == result.counted and result.state == "STOPPED"
    return int(not whole or result.growth_mb > MAX_MB)


if __name__ == "__main__":
    sys.exit(main())
