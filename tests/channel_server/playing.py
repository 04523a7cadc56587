"""Runs in this process, played step by step by tests of the channel server."""

from collections.abc import Iterator

import msgspec

from channel_server.waiting import Waiting
from controller.execution.building import build_world
from controller.execution.in_process import Loopback
from protocol.messages.plan import RunPlan
from tests.recording import Checkpointed, Recording, assert_same_trace, in_process


def started(plan: RunPlan) -> Loopback:
    """A run that all its nodes have joined."""
    loopback = Loopback(plan, build_world(plan))
    loopback.seat_all()
    return loopback


def played(loopback: Loopback) -> Iterator[None]:
    """Step by step, checkpoints taken, until nothing more happens by itself."""
    run = loopback.run
    while run.waiting is not Waiting.NOTHING:
        if run.checkpoint_due:
            loopback.send(run.checkpoint(wall_s=0.0, wire=[]))
        if not loopback.step():
            return
        yield


def played_to_end(loopback: Loopback) -> Checkpointed:
    """All of `played`, and what was recorded."""
    for _ in played(loopback):
        pass
    return recorded(loopback)


def recorded(loopback: Loopback) -> Checkpointed:
    """What the run has sent as telemetry."""
    recording = Checkpointed()
    for telemetry in loopback.run.telemetry():
        recording(telemetry)
    recording(loopback.run.ended(wall_s=0.0, wire=[]))
    return recording


def time_out(loopback: Loopback) -> list[str]:
    """What the run waits for has not come in time; the names of the peers that are sent something."""
    sends = loopback.core.on_timeout(next(iter(loopback.core.timeouts())))
    loopback.send(sends)
    return [peer.decode() for peer, _ in sends]


def lose_at(loopback: Loopback, slot: int, *names: str) -> None:
    """Play on; these nodes are killed in this slot."""
    for _ in played(loopback):
        if loopback.run.slot == slot:
            for name in names:
                if name.encode() in loopback.sessions:
                    loopback.leave(name.encode(), "killed")


def check_replay(plan: RunPlan, recording: Recording) -> None:
    """The recorded run replays to the same trace and end."""
    replayed = in_process(msgspec.structs.replace(plan, replay=recording.past))
    assert_same_trace(recording, replayed)
    assert recording.ended is not None
    assert replayed.ended is not None
    assert (replayed.ended.state, replayed.ended.slots) == (recording.ended.state, recording.ended.slots)
