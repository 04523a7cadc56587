"""Executes a run into its folder, in any placement: from the beginning, from a checkpoint, and with its baselines."""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple, assert_never

from channel_server.core import Past
from controller.config.errors import ConfigError, invalid
from controller.config.resolved import ResolvedRun, load
from controller.config.run_config import Placement
from controller.execution.comparison import compared
from controller.execution.controls import RunControls, controls_by_signal
from controller.execution.in_process import run_in_process
from controller.execution.machine import Machine
from controller.run_folder.checkpoints import StoredCheckpoint
from controller.run_folder.layout import BASELINES, CONFIG
from controller.run_folder.reader import RunFolder
from controller.run_folder.writer import RunWriter
from protocol.determinism.fingerprint import differences, fingerprint
from protocol.messages.plan import PastEvent, RunPlan
from protocol.messages.telemetry import Ended, Event, Sink, Telemetry

_NO_POOL_HERE = invalid(
    "placement",
    "pool",
    "a controller leases the pool's workers: `airtoll submit FILE` puts the run into its queue; here give processes",
)


class BaselineNumber(NamedTuple):
    """Which baseline of how many: its number, from 1, and its name."""

    number: int
    of: int
    name: str

    def __str__(self) -> str:
        return f"baseline {self.number} of {self.of}: {self.name}"


def run(
    resolved: ResolvedRun,
    writer: RunWriter,
    watch: Sink,
    *,
    replay: tuple[PastEvent, ...] | None = None,
    checkpoint: StoredCheckpoint | None = None,
    controls: RunControls | None = None,
    machine: Machine | None = None,
) -> dict[str, Any]:
    """Execute the run into its folder, from the beginning or from a checkpoint of it; return the summary.

    `watch` also receives the telemetry. `controls`: by default this process's signals. `machine`: the leased workers of
    a run in the pool. KeyboardInterrupt when the run was interrupted: by then every process has stopped, and the
    summary is written. ConfigError while another process executes the run.
    """
    plan = resolved.plan_for(writer.folder.meta.run_id, replay=replay)
    if controls is None:
        with controls_by_signal() as by_signal:
            return run(
                resolved, writer, watch, replay=replay, checkpoint=checkpoint, controls=by_signal, machine=machine
            )
    with writer.locked():
        try:
            run_with_rollbacks(plan, resolved.config.placement, writer, watch, controls, checkpoint, machine)
        except KeyboardInterrupt:
            writer.summarise()
            raise
        return writer.summarise()


def run_baselines(
    resolved: ResolvedRun,
    folder: RunFolder,
    *,
    controls: RunControls | None = None,
    watch: Callable[[BaselineNumber], AbstractContextManager[Sink]] | None = None,
) -> dict[str, Any]:
    """Execute the baselines, each in a folder inside the run's; their summaries by name. In the end the run's own
    summary gets the table that compares all, under `comparison`.

    `watch` is called before each, and gives the sink that receives its telemetry as well.
    """
    watch = watch or (lambda _: nullcontext(ignore_telemetry))
    summaries: dict[str, Any] = {}
    for number, (name, baseline) in enumerate(resolved.baselines.items(), 1):
        with watch(BaselineNumber(number, len(resolved.baselines), name)) as sink:
            inside = RunWriter.create(baseline, at=folder.path / BASELINES / re.sub(r"[^\w.=-]", "_", name))
            summaries[name] = run(baseline, inside, sink, controls=controls)
    if summaries:
        RunWriter(folder.path, resolved.config).summarise(comparison=compared(folder.summary, summaries))
    return summaries


def ignore_telemetry(telemetry: Telemetry, /) -> None:
    """A sink that discards telemetry."""


def run_with_rollbacks(
    plan: RunPlan,
    placement: Placement,
    writer: RunWriter,
    watch: Sink,
    controls: RunControls,
    checkpoint: StoredCheckpoint | None = None,
    machine: Machine | None = None,
) -> Ended:
    """Execute a run until it ends, and again from its newest checkpoint whenever the plan rolls it back.

    Telemetry goes to the writer, then to `watch`. KeyboardInterrupt when the run was interrupted.
    """

    def sink(telemetry: Telemetry) -> None:
        writer(telemetry)
        watch(telemetry)

    if checkpoint is not None:
        _prepare_resume(writer, sink, checkpoint)
    ended = _launch(plan, placement, sink, controls, checkpoint, machine)
    for _ in range(plan.loss.max_restarts):
        if not ended.roll_back or controls.interrupted():
            break
        checkpoint = _roll_back(writer, sink, ended)
        ended = _launch(plan, placement, sink, controls, checkpoint, machine)
    if controls.interrupted():
        raise KeyboardInterrupt
    return ended


def reopen(path: Path) -> tuple[ResolvedRun, RunWriter]:
    """The run of a folder, to be resumed. ConfigError for one that has succeeded; NotARunError."""
    folder = RunFolder.open(path)
    resolved = load(folder.config_file)
    return resolved, RunWriter.reopen(folder, resolved.config)


def checkpoint_to_resume(folder: RunFolder, *, at: int | None, warn: Callable[[str], None]) -> StoredCheckpoint:
    """The newest valid checkpoint, or the one `at` a slot; `warn` receives why newer ones are rejected.

    ConfigError when there is none.
    """
    slots = folder.checkpoints.slots
    from_the_start = f"`airtoll run {folder.path / CONFIG}` starts it from slot 0"
    if not slots:
        fix = f"{from_the_start}; give checkpoint_every a number of slots"
        raise ConfigError(f"{folder.path}: no checkpoint to resume from; {fix}")
    if at is not None and at not in slots:
        raise ConfigError(f"--from {at} is not allowed: checkpoints lie at slots {', '.join(map(str, sorted(slots)))}")
    checkpoint, rejected = folder.checkpoints.newest(at=at)
    for line in rejected:
        warn(line)
    if checkpoint is None:
        raise ConfigError(f"{folder.path}: no checkpoint is valid; {from_the_start}")
    return checkpoint


def check_placement(resolved: ResolvedRun) -> None:
    """ConfigError for a run that needs a controller to lease workers for it."""
    if resolved.config.placement == "pool":
        raise ConfigError(_NO_POOL_HERE)


def _launch(
    plan: RunPlan,
    placement: Placement,
    sink: Sink,
    controls: RunControls,
    checkpoint: StoredCheckpoint | None,
    machine: Machine | None,
) -> Ended:
    past = None if checkpoint is None else Past(checkpoint.slot, checkpoint.channel_server, checkpoint.nodes)
    if placement == "in-process":
        return run_in_process(plan, sink, controls, past=past)
    # Imported here: sockets and multiprocessing take a fifth of the start-up of a short run in one process.
    from controller.execution.processes import run_processes

    match placement:
        case "processes":
            return run_processes(plan, sink, controls, past=past)
        case "pool":
            if machine is None:
                raise ConfigError(_NO_POOL_HERE)
            return run_processes(plan, sink, controls, past=past, machine=machine)
        case _:
            assert_never(placement)


def _prepare_resume(writer: RunWriter, sink: Sink, checkpoint: StoredCheckpoint) -> None:
    before = writer.folder.meta.fingerprint
    writer.roll_back(checkpoint)
    sink(Event("resumed", checkpoint.slot, 0, "", "the run is resumed from its checkpoint"))
    if lines := differences(before, fingerprint()):
        reason = f"the fingerprint has changed, so the trace may differ: {'; '.join(lines)}"
        sink(Event("warning", checkpoint.slot, 0, "", reason))


def _roll_back(writer: RunWriter, sink: Sink, ended: Ended) -> StoredCheckpoint | None:
    """Roll the folder back to the newest valid checkpoint, or to slot 0."""
    checkpoint, rejected = writer.folder.checkpoints.newest()
    writer.roll_back(checkpoint)
    slot = 0 if checkpoint is None else checkpoint.slot
    for line in rejected:
        sink(Event("warning", slot, 0, "", line))
    sink(Event("rolled back", slot, 0, "", f"from slot {ended.slots}: {ended.reason}"))
    return checkpoint
