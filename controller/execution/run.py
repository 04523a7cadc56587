"""Plays a run in a placement, watched, interruptible and pausable; takes it up again; plays the runs beside it."""

import re
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NamedTuple, assert_never

from channel_server.core import Past
from controller.config.errors import ConfigError, invalid
from controller.config.run_config import Placement, RunConfig
from controller.execution.in_process import run_in_process
from controller.execution.machine import Machine
from controller.execution.processes import run_processes
from controller.run_folder.checkpoints import Checkpoint
from controller.run_folder.folder import RunFolder
from protocol.determinism.fingerprint import differences, fingerprint
from protocol.messages.orders import Order
from protocol.messages.plan import PastEvent, RunPlan
from protocol.messages.telemetry import Ended, Event, Sink, Telemetry

_BY_HAND = invalid(
    "placement",
    "pool",
    "a controller leases the pool's workers: `airtoll submit FILE` puts the run into its queue; here give processes",
)
HEARD = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class RunControls(NamedTuple):
    """What the run's owner wishes just now."""

    interrupted: Callable[[], bool]
    paused: Callable[[], bool]
    orders: Callable[[], Iterable[Order]] = tuple


def run(
    config: RunConfig,
    folder: RunFolder,
    watch: Sink,
    *,
    replay: tuple[PastEvent, ...] | None = None,
    checkpoint: Checkpoint | None = None,
    controls: RunControls | None = None,
    machine: Machine | None = None,
) -> dict[str, Any]:
    """Execute the run into its folder, from the beginning or from a checkpoint of it; the summary.

    `machine`: the workers that are leased to a run on the pool.
    An interrupted run has its summary written before it is raised. ConfigError while another process plays the run.
    """
    plan = config.plan(folder.meta["run_id"], replay=replay)
    with folder.at_work():
        try:
            execute(plan, config.placement, folder, watch, checkpoint=checkpoint, controls=controls, machine=machine)
        except KeyboardInterrupt:
            folder.summarise()
            raise
        return folder.summarise()


def run_baselines(config: RunConfig, folder: RunFolder, *, controls: RunControls | None = None) -> dict[str, Any]:
    """Execute the runs to compare with, each in a folder inside; their summaries by name."""
    summaries: dict[str, Any] = {}
    for name, other in config.others.items():
        inside = RunFolder.create(other, at=folder.path / "baselines" / re.sub(r"[^\w.=-]", "_", name))
        summaries[name] = run(other, inside, ignore_telemetry, controls=controls)
    return summaries


def ignore_telemetry(telemetry: Telemetry, /) -> None:
    """Nobody looks on."""


def execute(
    plan: RunPlan,
    placement: Placement,
    folder: RunFolder,
    watch: Sink,
    *,
    checkpoint: Checkpoint | None = None,
    controls: RunControls | None = None,
    machine: Machine | None = None,
) -> Ended:
    """Play a run to its end, from the beginning or from a checkpoint; telemetry goes to `folder`, then to `watch`.
    Without `wishes`, signals are listened to. `machine`: of a run on the pool.

    KeyboardInterrupt after Ctrl-C, SIGTERM or SIGHUP, once every process has stopped and the folder holds what there
    is.
    """
    if controls is None:
        with controls_by_signal() as heard:
            return execute(plan, placement, folder, watch, checkpoint=checkpoint, controls=heard, machine=machine)

    def sink(telemetry: Telemetry) -> None:
        folder(telemetry)
        watch(telemetry)

    if checkpoint is not None:
        _resume(folder, sink, checkpoint)
    ended = _play(plan, placement, sink, controls, checkpoint, machine)
    for _ in range(plan.loss.max_restarts):
        if not ended.roll_back or controls.interrupted():
            break
        checkpoint = _roll_back(folder, sink, ended)
        ended = _play(plan, placement, sink, controls, checkpoint, machine)
    if controls.interrupted():
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


def check_placement(config: RunConfig) -> None:
    """ConfigError for a run that cannot be carried out here, by hand."""
    if config.placement == "pool":
        raise ConfigError(_BY_HAND)


def _play(
    plan: RunPlan,
    placement: Placement,
    sink: Sink,
    controls: RunControls,
    checkpoint: Checkpoint | None,
    machine: Machine | None,
) -> Ended:
    past = None if checkpoint is None else Past(checkpoint.slot, checkpoint.channel_server, checkpoint.nodes)
    match placement:
        case "in-process":
            return run_in_process(plan, sink, *controls, past=past)
        case "processes":
            return run_processes(plan, sink, *controls, past=past)
        case "pool":
            if machine is None:
                raise ConfigError(_BY_HAND)
            return run_processes(plan, sink, *controls, past=past, machine=machine)
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
def controls_by_signal() -> Iterator[RunControls]:
    """SIGINT, SIGTERM and SIGHUP interrupt, SIGUSR1 pauses, SIGUSR2 goes on; elsewhere than in the main thread nobody
    can be told anything."""
    if threading.current_thread() is not threading.main_thread():
        yield RunControls(lambda: False, lambda: False)
        return
    interrupted, paused = threading.Event(), threading.Event()

    def hear(number: int, _frame: FrameType | None) -> None:
        match number:
            case signal.SIGUSR1:
                paused.set()
            case signal.SIGUSR2:
                paused.clear()
            case _:
                interrupted.set()

    before = {number: signal.signal(number, hear) for number in HEARD}
    try:
        yield RunControls(interrupted.is_set, paused.is_set)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
