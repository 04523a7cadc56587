"""Plays a run in a placement, watched and interruptible; takes it up again from its checkpoints."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import assert_never

from channel_server.core import Past
from controller.checkpoints import Checkpoint
from controller.configuration import Placement
from controller.faults import ConfigError
from controller.launchers.in_process import run_in_process
from controller.launchers.processes import run_processes
from controller.run_folder import RunFolder
from protocol.fingerprint import differences, fingerprint
from protocol.plan import RunPlan
from protocol.telemetry import Ended, Event, Sink, Telemetry


def execute(
    plan: RunPlan, placement: Placement, folder: RunFolder, watch: Sink, checkpoint: Checkpoint | None = None
) -> Ended:
    """Play a run to its end, from the beginning or from a checkpoint; telemetry goes to `folder`, then to `watch`.

    KeyboardInterrupt after Ctrl-C, SIGTERM or SIGHUP, once every process has stopped and the folder holds what there
    is.
    """

    def sink(telemetry: Telemetry) -> None:
        folder(telemetry)
        watch(telemetry)

    with _interruptible() as interrupted:
        if checkpoint is not None:
            _resume(folder, sink, checkpoint)
        ended = _play(plan, placement, sink, interrupted, checkpoint)
        for _ in range(plan.loss.most_restarts):
            if not ended.roll_back or interrupted():
                break
            checkpoint = _roll_back(folder, sink, ended)
            ended = _play(plan, placement, sink, interrupted, checkpoint)
    if interrupted():
        raise KeyboardInterrupt
    return ended


def checkpoint_to_resume(folder: RunFolder, *, at: int | None, told: Callable[[str], None]) -> Checkpoint:
    """The checkpoint to go on from, the newest that is whole or the one `at` a slot; `told`: why others are refused.

    ConfigError when there is none.
    """
    slots = folder.checkpoints.slots
    if not slots:
        cure = (
            f"`airtoll run {folder.path / 'config.yaml'}` plays it from slot 0; give checkpoint_every a number of slots"
        )
        raise ConfigError(f"{folder.path}: no checkpoint to resume from; {cure}")
    if at is not None and at not in slots:
        raise ConfigError(f"--from {at} is not allowed: checkpoints lie at slots {', '.join(map(str, sorted(slots)))}")
    found, refused = folder.newest_checkpoint(at=at)
    for line in refused:
        told(line)
    if found is None:
        cure = f"`airtoll run {folder.path / 'config.yaml'}` plays it from slot 0"
        raise ConfigError(f"{folder.path}: no checkpoint is whole; {cure}")
    return found


def _play(
    plan: RunPlan, placement: Placement, sink: Sink, interrupted: Callable[[], bool], checkpoint: Checkpoint | None
) -> Ended:
    past = None if checkpoint is None else Past(checkpoint.slot, checkpoint.channel_server, checkpoint.nodes)
    match placement:
        case "in-process":
            return run_in_process(plan, sink, interrupted, past)
        case "processes":
            return run_processes(plan, sink, interrupted, past)
        case _:
            assert_never(placement)


def _resume(folder: RunFolder, sink: Sink, checkpoint: Checkpoint) -> None:
    before = folder.meta["fingerprint"]
    folder.roll_back(checkpoint)
    sink(Event("resumed", checkpoint.slot, 0, "", "the run is taken up again"))
    if lines := differences(before, fingerprint()):
        reason = f"the fingerprint is another than before, so the trace may part: {'; '.join(lines)}"
        sink(Event("warning", checkpoint.slot, 0, "", reason))


def _roll_back(folder: RunFolder, sink: Sink, ended: Ended) -> Checkpoint | None:
    """To the newest checkpoint that is whole, or to slot 0."""
    checkpoint, refused = folder.newest_checkpoint()
    folder.roll_back(checkpoint)
    slot = 0 if checkpoint is None else checkpoint.slot
    for line in refused:
        sink(Event("warning", slot, 0, "", line))
    sink(Event("rolled back", slot, 0, "", f"from slot {ended.slots}: {ended.reason}"))
    return checkpoint


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Turns SIGINT, SIGTERM and SIGHUP into an answer; elsewhere than in the main thread nobody can be interrupted."""
    if threading.current_thread() is not threading.main_thread():
        yield lambda: False
        return
    asked = threading.Event()

    def ask(_signal: int, _frame: FrameType | None) -> None:
        asked.set()

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield asked.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
