"""The writer of a run's folder: creates it, writes telemetry into it, rolls it back to a checkpoint."""

import csv
import fcntl
import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import msgspec

from controller.config.errors import ConfigError
from controller.config.layers import FILE_SUFFIXES
from controller.config.resolved import ResolvedRun
from controller.config.run_config import RunConfig, dump_yaml
from controller.run_folder import checkpoints, distributions, meta, tensorboard, toll
from controller.run_folder.files import DISK_FULL, replace_file, sync
from controller.run_folder.layout import (
    CONFIG,
    DISTRIBUTIONS,
    EVENTS,
    GROWING,
    LOG,
    MAP,
    METRICS,
    REPLACED,
    SCALAR_HEADER,
    SCALARS,
    START,
    SUMMARY,
    TENSORBOARD,
    TOLL,
    WIRE_BOOK,
)
from controller.run_folder.reader import RunFolder
from controller.run_folder.remarks import Remarks
from controller.run_folder.status import State
from controller.run_folder.summary import summarise
from controller.run_folder.tensorboard import EventFiles
from protocol.messages.telemetry import (
    Checkpoint,
    Chunk,
    Ended,
    Event,
    Listening,
    MapUpdate,
    NodeState,
    Occurrences,
    OrderDone,
    Progress,
    Scalars,
    Telemetry,
    TollWindow,
    Weights,
    Window,
)

_STATES_AFTER = {"paused": State.PAUSED, "continued": State.RUNNING}
_RESERVE = ".reserve"  # freed to record that the run failed on a full disk
_RESERVE_BYTES = 1 << 16


class RunWriter:
    """A sink for a run's telemetry that writes it into the run's `folder`. Every call leaves complete files."""

    def __init__(self, path: Path, config: RunConfig) -> None:
        self.path = path
        self.folder = RunFolder(path)
        self.remarks = Remarks()
        self._keep = config.keep_checkpoints
        self._event_files = EventFiles(path / TENSORBOARD) if config.record.tensorboard else None

    @classmethod
    def create(cls, run: ResolvedRun, *, at: Path | None = None, command: Sequence[str] = ()) -> "RunWriter":
        """A new folder: `at`, or a new one under the configuration's `out`.

        ConfigError when it cannot be created or is not empty, or when TensorBoard files are asked for and the package
        is missing.
        """
        config = run.config
        if config.record.tensorboard:
            tensorboard.check()
        try:
            run_id, path = _new_folder(config) if at is None else (_new_id(config), _empty_folder(at))
        except OSError as error:
            if error.errno in DISK_FULL:
                raise
            where = error.filename or at or config.out
            raise ConfigError(f"out: {where} cannot be created: {error.strerror}; give another folder") from error
        try:
            _fill(path, run, run_id, command)
        except OSError:
            shutil.rmtree(path, ignore_errors=True)
            raise
        return cls(path, config)

    @classmethod
    def reopen(cls, folder: RunFolder, config: RunConfig) -> "RunWriter":
        """The writer of a run that is resumed. ConfigError for a run that has succeeded."""
        if folder.meta.state is State.SUCCEEDED:
            raise ConfigError(f"{folder.path}: the run is SUCCEEDED; `airtoll replay {folder.path}` repeats it")
        return cls(folder.path, config)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder and set the run RUNNING: one process executes it. ConfigError while another one does.

        The kernel releases the lock when the process dies. An error that ends the block sets the run FAILED.
        """
        with (self.path / CONFIG).open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                fix = "wait for its end, or stop the process that executes it"
                raise ConfigError(f"{self.path}: the run is running; {fix}") from error
            try:
                (self.path / _RESERVE).write_bytes(bytes(_RESERVE_BYTES))
                set_state(self.path, State.RUNNING)
                yield
            except Exception as error:
                (self.path / _RESERVE).unlink(missing_ok=True)
                set_state(self.path, State.FAILED, failure(error))
                raise
            finally:
                (self.path / _RESERVE).unlink(missing_ok=True)

    def __call__(self, telemetry: Telemetry, /) -> None:
        """Write one piece of telemetry."""
        if self._event_files is not None:
            self._event_files(telemetry)
        self.remarks.take(telemetry)
        match telemetry:
            case Chunk(file, data):
                self._append(file, data)
            case Window():
                self._window(telemetry)
            case Occurrences():
                self._rows(DISTRIBUTIONS, distributions.COLUMNS, distributions.lines(telemetry))
            case TollWindow():
                self._rows(TOLL, toll.TOLL_COLUMNS, toll.lines(telemetry, self.folder.names))
            case Scalars():
                self._scalars(telemetry)
            case Event():
                self._event(telemetry)
            case NodeState(node, offset, data):
                self.folder.checkpoints.add(node, offset, data)
            case Checkpoint():
                self._checkpoint(telemetry)
            case Weights():
                self._weights(telemetry)
            case Listening(endpoint):
                self._listening(endpoint)
            case Ended():
                self._ended(telemetry)
            case OrderDone(_, problem) if problem:
                self.log(f"an order is rejected: {problem}")
            case MapUpdate(slot, drawing):
                self._write_json(MAP, {"slot": slot, "map": msgspec.to_builtins(drawing)}, durable=False)
            case OrderDone() | Progress():
                pass

    def log(self, line: str) -> None:
        """Add a line to log.txt."""
        self._append(LOG, f"{line}\n".encode())

    def roll_back(self, to: checkpoints.StoredCheckpoint | None) -> None:
        """Truncate the files to a checkpoint, or to the beginning: the run starts again from there."""
        slot = to.slot if to else 0
        for name in GROWING:
            _truncate(self.path / name, to.lengths[name] if to else 0)
        for name in REPLACED:
            (self.path / name).unlink(missing_ok=True)
        self.folder.checkpoints.drop_after(slot)
        self.folder.weights.drop_after(slot)
        self.folder.meta.rolled_back().write(self.path)
        self.remarks = self.folder.remarks()

    def summarise(self, **results: Any) -> dict[str, Any]:
        """Write summary.json from everything in the folder, with what only the caller knows, and return its content."""
        summary = summarise(self.folder) | results
        self._write_json(SUMMARY, summary, indent=2)
        return summary

    def _listening(self, endpoint: str) -> None:
        self.folder.meta.changed(endpoint=endpoint).write(self.path)
        self.log(f"listening at {endpoint}")

    def _checkpoint(self, state: Checkpoint) -> None:
        self.folder.checkpoints.write(
            state.slot, channel_server=state.channel_server, nodes=state.nodes, files=GROWING, keep=self._keep
        )
        self.log(f"checkpoint before slot {state.slot}")

    def _event(self, event: Event) -> None:
        self._append(EVENTS, msgspec.json.encode(msgspec.structs.asdict(event)) + b"\n")
        self.log(event_line(event))
        if state := _STATES_AFTER.get(event.event):
            set_state(self.path, state)
        if event.event in meta.COUNTED:
            self.folder.meta.counting(event.event).write(self.path)

    def _weights(self, weights: Weights) -> None:
        meta_now = self.folder.meta
        about = {"world": meta_now.world, "scheme": meta_now.scheme, "node": meta_now.names[weights.node]}
        try:
            self.folder.weights.add(weights, about | {"slot": str(weights.sent_slot), "run_id": meta_now.run_id})
        except ValueError as error:  # a node may report anything
            self.log(f"weights of {about['node']} at slot {weights.sent_slot} are not stored: {error}")

    def _window(self, window: Window) -> None:
        names = list(window.sums)
        if not (self.path / METRICS).exists():
            columns = [f"{name}_{part}" for name in names for part in ("sum", "count")]
            self._append(METRICS, ",".join(["phase", "first", "last", *columns]).encode() + b"\n")
        numbers = [repr(ratio[name]) for name in names for ratio in (window.sums, window.counts)]
        row = [window.phase, str(window.first), str(window.last), *numbers]
        self._append(METRICS, ",".join(row).encode() + b"\n")

    def _rows(self, file: str, columns: Sequence[str], lines: bytes) -> None:
        if not (self.path / file).exists():
            self._append(file, f"{','.join(columns)}\n".encode())
        self._append(file, lines)

    def _scalars(self, report: Scalars) -> None:
        if not (self.path / SCALARS).exists():
            self._append(SCALARS, f"{SCALAR_HEADER}\n".encode())
        lines = StringIO()
        rows = ((report.slot, report.node, name, repr(value)) for name, value in report.scalars.items())
        csv.writer(lines, lineterminator="\n").writerows(rows)
        self._append(SCALARS, lines.getvalue().encode())

    def _ended(self, end: Ended) -> None:
        self._write_json(WIRE_BOOK, msgspec.to_builtins(end.wire), indent=2)
        meta_before = self.folder.meta
        state, reason = State(end.state), end.reason
        if state is State.SUCCEEDED:
            reason = self.remarks.at_the_end(end.slots, meta_before.schedule, learns=meta_before.learns)
        meta_before.changed(
            state=state,
            reason=reason,
            slots=end.slots,
            wall_s=end.wall_s,
            probes=end.probes,
            dropped=end.dropped,
            missed=end.missed,
            paced=msgspec.to_builtins(end.paced),
            trace_digest=self.folder.trace_digest() if meta_before.trace == "all" else end.trace_digest,
            air_rows_left_out=end.air_rows_left_out,
            fingerprint=end.fingerprint or meta_before.fingerprint,  # empty when the channel server died
        ).write(self.path)
        self.log(f"{end.state} after {end.slots} slots" + (f": {reason}" if reason else ""))

    def _append(self, file: str, data: bytes) -> None:
        with (self.path / file).open("ab") as stream:
            stream.write(data)

    def _write_json(self, file: str, data: Any, *, indent: int | None = None, durable: bool = True) -> None:
        data = json.dumps(data, indent=indent, allow_nan=False).encode() + b"\n"
        replace_file(self.path / file, data, durable=durable)


def _truncate(file: Path, length: int) -> None:
    if length:
        os.truncate(file, length)
    else:
        file.unlink(missing_ok=True)


def set_state(path: Path, state: State, reason: str = "") -> None:
    """Write the state of the run into its folder's meta.json."""
    meta.RunMeta.read(path).changed(state=state, reason=reason).write(path)


def failure(error: Exception) -> str:
    """The reason of a run that an error has ended."""
    return f"{type(error).__name__}: {error}"


def event_line(event: Event) -> str:
    """An event as a person reads it."""
    what = f"{event.event} {event.node}" if event.node else event.event
    return f"slot {event.slot}, turn {event.turn}: {what}: {event.reason}"


def _new_id(config: RunConfig) -> str:
    scheme = config.scheme.name.replace("/", "_")
    return f"{config.world.name}-{scheme}-s{config.seed}-{secrets.token_hex(2)}"


def _new_folder(config: RunConfig) -> tuple[str, Path]:
    """A run_id without a folder under `out`, and that folder, created."""
    while True:
        run_id = _new_id(config)
        try:
            (Path(config.out) / run_id).mkdir(parents=True)
        except FileExistsError as error:
            if error.filename != str(Path(config.out) / run_id):
                raise  # `out` itself, or a folder above it, is a file
            continue
        return run_id, Path(config.out) / run_id


def _empty_folder(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise ConfigError(f"out: {path} is not empty; give a new folder, or remove it first")
    return path


def _fill(path: Path, run: ResolvedRun, run_id: str, command: Sequence[str]) -> None:
    """Write what a run's folder has before the run."""
    config = run.config
    copied = _copy_files(config, path)
    world = config.world.model_copy(update=copied)
    start = config.start
    if run.start is not None:
        replace_file(path / START, run.start.file)
        start = start.model_copy(update={"weights": START})
    replace_file(path / CONFIG, dump_yaml(config.model_copy(update={"world": world, "start": start})).encode())
    meta.initial_meta(run, run_id, run.plan.world_params | copied, command).write(path)
    sync(path.parent)


def _copy_files(config: RunConfig, path: Path) -> dict[str, str]:
    """Copy the files that the world's parameters name into the folder, so that it can be replayed wherever it lies.

    The copies' names, by parameter.
    """
    copied: dict[str, str] = {}
    for key, value in config.world.model_dump().items():
        if isinstance(value, str) and value.endswith(FILE_SUFFIXES):
            copied[key] = f"{key}{Path(value).suffix}"
            replace_file(path / copied[key], Path(value).read_bytes())
    return copied
