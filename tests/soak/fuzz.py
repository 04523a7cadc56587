"""Sends mutated frames into a live run: nothing crashes, the trace stays equal, memory does not grow.

Half of the frames come over connections without a seat, which may send anything; the other half over the connections of
two agents, which leave out frames that would legitimately change the run (`tests/soak/babble.py`).

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
from controller.execution.controls import NO_CONTROLS  # noqa: E402
from controller.execution.processes import NodeProcesses  # noqa: E402
from protocol.accounting.trace import first_divergence, read_rows  # noqa: E402
from protocol.messages.codec import encode  # noqa: E402
from protocol.messages.node import PROTOCOL_VERSION, Bye, Hello  # noqa: E402
from protocol.messages.telemetry import Progress, Telemetry  # noqa: E402
from tests.recording import Recording, in_process  # noqa: E402
from tests.soak.babble import FIRST_SLOT, PER_REPLY, Babbled, babble, read  # noqa: E402
from tests.soak.mutation import RECORDED_SLOTS, Parts, mutated, recorded_frames  # noqa: E402

CONFIG = {
    "world": {"name": "d2d_underlay", "pairs": 4, "rbs": 3},
    "scheme": "li2020/greedy_central",
    "slots": 10**6,
    "record": {"frames_slots": RECORDED_SLOTS},
}
FRAMES = 100_000
MAX_MB = 8.0
BABBLERS = {"pair-0": 1, "pair-3": 2}
UNREAD = "connection without a frame that can be read"
_PER_CONNECTION = 500


class Fuzzed(NamedTuple):
    """The result. `counted`: frames that must be counted as dropped, `dropped`: frames that were. `growth_mb`: growth
    of the channel server's own memory. `divergence`: where the trace differs from the undisturbed run's, or "".
    """

    state: str
    counted: int
    dropped: int
    growth_mb: float
    divergence: str


def fuzz(count: int) -> Fuzzed:
    """Send so many frames into a run, interrupt it, and run it again undisturbed in this process. RuntimeError if the
    run ends before all frames have been sent."""
    plan = load(CONFIG).plan_for("fuzz")
    share, frames = count // 4, recorded_frames(plan)
    all_babbled = FIRST_SLOT + share // PER_REPLY + 1
    recording, counted, mb = Recording(), 0, list[float]()
    with Babbled(plan, frames, BABBLERS, share) as processes:

        def attack(telemetry: Telemetry) -> None:
            nonlocal counted
            recording(telemetry)
            if not mb and isinstance(telemetry, Progress) and telemetry.slot >= FIRST_SLOT:
                mb.append(_own_mb(processes))
                counted += send_without_seat(processes.endpoint, frames, count - share * len(BABBLERS))
            if len(mb) == 1 and isinstance(telemetry, Progress) and telemetry.slot > all_babbled:
                mb.append(_own_mb(processes))
                processes.interrupt()

        end = processes.run(attack, NO_CONTROLS)
    if len(mb) < 2:
        raise RuntimeError(f"the run {end.state} too early: {end.reason}")
    for seed in BABBLERS.values():
        counted += sum(is_counted(parts, seated=True) for parts in babble(frames, seed, share))
    undisturbed = in_process(replace(plan, replay=recording.past))
    divergence = first_divergence(read_rows(recording.trace), read_rows(undisturbed.trace))
    return Fuzzed(
        state=f"{end.state} {end.reason}".strip(),
        counted=counted,
        dropped=sum(number for reason, number in end.dropped.items() if reason != UNREAD),
        growth_mb=mb[1] - mb[0],
        divergence="" if divergence is None else str(divergence),
    )


def send_without_seat(endpoint: str, frames: list[bytes], count: int) -> int:
    """Send so many frames over a series of connections; how many must be counted, a rejected Hello of each included."""
    rng, counted = random.Random(0), 0
    with zmq.Context() as context:
        for first in range(0, count, _PER_CONNECTION):
            batch = [mutated(frames, rng) for _ in range(min(_PER_CONNECTION, count - first))]
            counted += sum(is_counted(parts, seated=False) for parts in batch) + 1
            _send(context, endpoint, batch, f"fuzz-end-{first}")
            _send_raw(endpoint, rng.choice(batch))
    return counted


def is_counted(parts: Parts, *, seated: bool) -> bool:
    """Whether a frame must be counted: not a Bye without a seat, which ends nothing."""
    message = None if len(parts) > 1 else read(parts[0])
    return seated or not isinstance(message, Bye)


def _send(context: zmq.Context[zmq.Socket[bytes]], endpoint: str, batch: list[Parts], marker: str) -> None:
    """Send a batch over one connection, then a Hello whose refusal names `marker`: all before it has been read then."""
    with context.socket(zmq.DEALER) as dealer:
        dealer.setsockopt(zmq.LINGER, 0)
        dealer.setsockopt(zmq.RCVTIMEO, 30_000)
        dealer.connect(endpoint)
        for parts in batch:
            dealer.send_multipart(parts)
        dealer.send(encode(Hello(PROTOCOL_VERSION, marker, "nobody", {})))
        while f"not {marker}:".encode() not in dealer.recv():
            pass


def _send_raw(endpoint: str, parts: Parts) -> None:
    """Send the bytes without ZeroMQ's protocol."""
    host, port = endpoint.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port))) as plain:
        plain.sendall(b"".join(parts))


def _own_mb(processes: NodeProcesses) -> float:
    return float(psutil.Process(processes.channel.pid).memory_full_info().uss / 1e6)


def main() -> int:
    """Print the result; 1 if anything is wrong."""
    multiprocessing.set_forkserver_preload(["controller.execution.preload"])
    count = int(sys.argv[1]) if len(sys.argv) > 1 else FRAMES
    result = fuzz(count)
    print(f"{count:,} frames; the run was {result.state}")
    print(f"  dropped and counted  {result.dropped:,} of {result.counted:,}")
    print(f"  channel server       {result.growth_mb:+.1f} MB (at most +{MAX_MB})")
    print(f"  trace                {result.divergence or 'as in the undisturbed run'}")
    passed = not result.divergence and result.dropped == result.counted and result.state == "STOPPED"
    return int(not passed or result.growth_mb > MAX_MB)


if __name__ == "__main__":
    sys.exit(main())
