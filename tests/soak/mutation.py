"""Mutated frames: recorded ones with bits flipped, truncated, spliced, nested, and worse.

Used by `python -m tests.soak.fuzz`.
"""

import random
from collections.abc import Sequence

import msgpack
from msgspec.structs import replace

from controller.execution.in_process import run_in_process
from protocol.messages.plan import PhasePlan, RunPlan
from protocol.messages.telemetry import Chunk, Telemetry

RECORDED_SLOTS = 2
Parts = list[bytes]  # a ZeroMQ message; a valid one has one part

_HUGE = (b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff")
_NESTING = (b"\x91", b"\x81\x01", b"\x92\x05")


def recorded_frames(plan: RunPlan) -> list[bytes]:
    """All frames of the run's first slots, in both directions."""
    kept: list[bytes] = []

    def keep(telemetry: Telemetry) -> None:
        if isinstance(telemetry, Chunk) and telemetry.file == "frames.msgpack":
            kept.append(telemetry.data)

    short = replace(plan, phases=(PhasePlan("eval", RECORDED_SLOTS),))
    run_in_process(short, keep)
    unpacker = msgpack.Unpacker(max_buffer_size=0)
    unpacker.feed(b"".join(kept))
    return [frame for _direction, _name, frame in unpacker]


def mutated(frames: Sequence[bytes], rng: random.Random) -> Parts:
    """One mutated frame; sometimes a valid one, sent out of place."""
    change = rng.choice(
        (_flipped, _flipped, _truncated, _spliced, _lengthened, _nested, _noise, _unchanged, _multipart)
    )
    return change(frames, rng)


def _flipped(frames: Sequence[bytes], rng: random.Random) -> Parts:
    frame = bytearray(rng.choice(frames))
    for _ in range(rng.choice((1, 1, 2, 8))):
        frame[rng.randrange(len(frame))] ^= 1 << rng.randrange(8)
    return [bytes(frame)]


def _truncated(frames: Sequence[bytes], rng: random.Random) -> Parts:
    frame = rng.choice(frames)
    return [frame[: rng.randrange(len(frame))]]


def _spliced(frames: Sequence[bytes], rng: random.Random) -> Parts:
    head, tail = rng.choice(frames), rng.choice(frames)
    return [head[: rng.randrange(len(head))] + tail[rng.randrange(len(tail)) :]]


def _lengthened(frames: Sequence[bytes], rng: random.Random) -> Parts:
    """A length of four billion in place of a value."""
    frame = rng.choice(frames)
    at = rng.randrange(len(frame))
    return [frame[:at] + rng.choice(_HUGE) + frame[at + 1 :]]


def _nested(frames: Sequence[bytes], rng: random.Random) -> Parts:
    return [rng.choice(_NESTING) * rng.choice((10, 1_000, 50_000)) + rng.choice(frames)]


def _noise(_frames: Sequence[bytes], rng: random.Random) -> Parts:
    return [rng.randbytes(rng.choice((0, 1, 30, 3_000)))]


def _unchanged(frames: Sequence[bytes], rng: random.Random) -> Parts:
    return [rng.choice(frames)]


def _multipart(frames: Sequence[bytes], rng: random.Random) -> Parts:
    return [rng.choice((rng.choice(frames), b"")) for _ in range(rng.randrange(2, 6))]
