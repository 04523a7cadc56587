"""A run's folder: all that a run leaves behind, written as it comes, readable by anyone with MessagePack and JSON.

config.yaml        the resolved configuration; `airtoll run config.yaml` repeats the run
meta.json          versions, fingerprint, seed, command, names; state (controller.run_folder.status), how it ended
metrics.csv        sums and counts per window of slots
toll.csv           counts per window of slots, phase, node, kind of note and link class: controller.run_folder.toll
scalars.csv        figures that nodes report of themselves: losses, updates, weights version
events.jsonl       losses, rejoins, refusals, warnings, restarts
trace.bin          digests, protocol.accounting.trace.ROW        values.msgpack   full values, if asked for
air_book.msgpack   one row per transmission attempt   wire_book.json   one account per connection
frames.msgpack     the first slots' frames            summary.json     the run in one page
log.txt            what a person wants to read first
map.json       what the world shows of the last slot, replaced as a whole
tensorboard/       metrics and scalars once more, if asked for
checkpoints/       what the run can be resumed from, if asked for: controller.run_folder.checkpoints
weights/           weights as nodes were given them, and those put by hand: controller.run_folder.weights
"""

import csv
import fcntl
import json
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from controller.config.errors import ConfigError
from controller.config.layers import FILE_SUFFIXES
from controller.config.run_config import RunConfig, dump_yaml, load
from controller.config.schedule import spans
from controller.run_folder import tensorboard, toll
from controller.run_folder.checkpoints import Checkpoint as Kept
from controller.run_folder.checkpoints import Checkpoints, DamagedError
from controller.run_folder.status import State
from controller.run_folder.tensorboard import EventFiles
from controller.run_folder.toll import TollTable
from controller.run_folder.weights import KeptWeights
from protocol.accounting import trace
from protocol.accounting.air_book import AirRow, decode_rows
from protocol.accounting.wire_book import Connection, totals
from protocol.determinism.fingerprint import fingerprint
from protocol.messages.node import PROTOCOL_VERSION
from protocol.messages.plan import PastEvent, past_events
from protocol.messages.telemetry import (
    Checkpoint,
    Chunk,
    Ended,
    Event,
    Listening,
    MapUpdate,
    NodeState,
    OrderDone,
    Progress,
    Scalars,
    Telemetry,
    TollWindow,
    Weights,
    Window,
)

GROWING = (
    *("trace.bin", "values.msgpack", "air_book.msgpack", "frames.msgpack"),
    *("metrics.csv", toll.TOLL_FILE, "scalars.csv", "events.jsonl"),
)
COUNTED = {"restarted": "restarts", "rolled back": "rollbacks", "resumed": "resumes"}  # events, in meta and summary
_STATES_AFTER = {"paused": State.PAUSED, "continued": State.RUNNING}
_LIBRARIES = ("airtoll", "msgpack", "msgspec", "numpy", "pydantic", "pyzmq", "xxhash")


class NotARunError(ValueError):
    """A folder that holds no run."""


class Scalar(NamedTuple):
    """One figure that a node reported of itself."""

    slot: int
    node: str
    name: str
    value: float


class RunFolder:
    """A folder with a run in it. While the run goes on it is a sink for telemetry (`folder(telemetry)`)."""

    def __init__(self, path: Path, event_files: EventFiles | None = None, *, keep: int = 1) -> None:
        self.path = path
        self.checkpoints = Checkpoints(path, keep=keep)
        self.weights = KeptWeights(path)
        self._event_files = event_files

    @classmethod
    def create(cls, config: RunConfig, *, at: Path | None = None, command: Sequence[str] = ()) -> "RunFolder":
        """A new folder, `at` or under the configuration's `out`. ConfigError when it cannot be made or is not empty,
        or TensorBoard files are asked for and the package is missing."""
        if config.record.tensorboard:
            tensorboard.check()
        try:
            run_id, path = _fresh(config) if at is None else (_run_id(config), _empty(at))
        except OSError as error:
            where = error.filename or at or config.out
            raise ConfigError(f"out: {where} cannot be made: {error.strerror}; give another folder") from error
        folder = cls(path, _event_files(config, path), keep=config.keep)
        folder._write("config.yaml", dump_yaml(folder._with_own_files(config)))
        folder._write_json("meta.json", _first_meta(config, run_id, command))
        return folder

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """The folder of a run, finished or not. NotARunError when there is none."""
        if not (path / "config.yaml").is_file():
            raise NotARunError(f"{path} is not a run's folder: no config.yaml")
        return cls(path)

    @classmethod
    def reopen(cls, path: Path) -> "RunFolder":
        """The folder of a run that shall go on. ConfigError for one that is done."""
        folder = cls.open(path)
        if folder.meta["state"] == State.SUCCEEDED.value:
            raise ConfigError(f"{path}: the run is SUCCEEDED; `airtoll replay {path}` plays it again")
        config = folder.config
        return cls(path, _event_files(config, path), keep=config.keep)

    # while the run goes on

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """One process at a time plays the run, which is RUNNING then; its lock goes when it dies. ConfigError while
        another one does."""
        with (self.path / "config.yaml").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                cure = "wait for its end, or stop the process that plays it"
                raise ConfigError(f"{self.path}: the run goes on; {cure}") from error
            self.settle(State.RUNNING)
            yield

    def settle(self, state: State, reason: str = "") -> None:
        """Write down the state that the run is in."""
        self._write_json("meta.json", self.meta | {"state": state.value, "reason": reason})

    def __call__(self, telemetry: Telemetry, /) -> None:
        """Write down what the channel server tells. Every call leaves the files complete so far."""
        if self._event_files is not None:
            self._event_files(telemetry)
        match telemetry:
            case Chunk(file, data):
                self._append(file, data)
            case Window():
                self._window(telemetry)
            case TollWindow():
                self._toll_window(telemetry)
            case Scalars():
                self._scalars(telemetry)
            case Event():
                self._event(telemetry)
            case NodeState(node, offset, data):
                self.checkpoints.add(node, offset, data)
            case Checkpoint(slot, nodes, channel_server):
                self.checkpoints.write(slot, channel_server=channel_server, nodes=nodes, files=GROWING)
                self.log(f"checkpoint before slot {slot}")
            case Weights():
                self.weights.add(telemetry)
            case Listening(endpoint):
                self._write_json("meta.json", self.meta | {"endpoint": endpoint})
                self.log(f"listening at {endpoint}")
            case Ended():
                self._ended(telemetry)
            case OrderDone(_, problem):
                if problem:
                    self.log(f"an order is not carried out: {problem}")
            case MapUpdate():
                self._write("map.json", json.dumps(msgspec.structs.asdict(telemetry), allow_nan=False) + "\n")
            case Progress():
                pass

    def log(self, line: str) -> None:
        """One line for log.txt."""
        self._append("log.txt", f"{line}\n".encode())

    def roll_back(self, to: Kept | None) -> None:
        """Cut the files back to a checkpoint, or to the beginning: what is cut off is played again."""
        for name in GROWING:
            self._cut(name, to.lengths[name] if to else 0)
        self.checkpoints.forget_after(to.slot if to else 0)
        self.weights.forget_after(to.slot if to else 0)
        (self.path / "summary.json").unlink(missing_ok=True)
        (self.path / "wire_book.json").unlink(missing_ok=True)
        (self.path / "map.json").unlink(missing_ok=True)
        gone = ("endpoint", "slots", "wall_s", "probes", "dropped", "missed", "trace_digest")
        left = {key: value for key, value in self.meta.items() if key not in gone}
        self._write_json("meta.json", left | {"state": State.RUNNING.value, "reason": ""})

    def newest_checkpoint(self, *, at: int | None = None) -> tuple[Kept | None, list[str]]:
        """The newest checkpoint that is whole, or the one `at` a slot if it is; and why newer ones are refused."""
        refused: list[str] = []
        for slot in self.checkpoints.slots:
            if at is not None and slot != at:
                continue
            try:
                return self.checkpoints.read(slot), refused
            except DamagedError as damage:
                refused.append(f"the checkpoint at slot {slot} is refused: {damage}")
        return None, refused

    def summarise(self) -> dict[str, Any]:
        """Write summary.json from all that is in the folder, and return it."""
        summary = _summary(self)
        self._write_json("summary.json", summary)
        return summary

    # what is in it

    @property
    def config(self) -> RunConfig:
        """The resolved configuration."""
        return load(self.path / "config.yaml")

    @property
    def meta(self) -> dict[str, Any]:
        """Versions, fingerprint, names, state. ValueError for a damaged file."""
        return self._read_json("meta.json")

    @property
    def summary(self) -> dict[str, Any]:
        """The run in one page. ValueError for a run that was cut off before it was written."""
        if not (self.path / "summary.json").is_file():
            raise ValueError(f"{self.path} has no summary.json: the run was cut off; its books and trace are there")
        return self._read_json("summary.json")

    @property
    def names(self) -> list[str]:
        """Names by node index."""
        names: list[str] = self.meta["names"]
        return names

    @property
    def map(self) -> dict[str, Any]:
        """What the world showed last: `slot`, or None before the first, and the `map`. ValueError for a damaged
        file."""
        if not (self.path / "map.json").exists():
            return {"slot": None, "map": {}}
        return self._read_json("map.json")

    def air_rows(self) -> Iterator[AirRow]:
        """The air book. ValueError where it is damaged."""
        return decode_rows(self.read("air_book.msgpack"))

    def trace_rows(self) -> npt.NDArray[Any]:
        """The trace's rows. ValueError where it is damaged."""
        try:
            return trace.read_rows(self.read("trace.bin"))
        except ValueError as error:
            raise ValueError(f"{self.path / 'trace.bin'}: {error}") from error

    def trace_digest(self) -> str:
        """A digest of the whole trace: equal for equal runs."""
        return blake2b(self.read("trace.bin"), digest_size=16).hexdigest()

    def events(self) -> list[Event]:
        """What happened to the run, in order. ValueError where the file is damaged."""
        lines = self.read("events.jsonl").splitlines()
        try:
            return [Event(**json.loads(line)) for line in lines]
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.path / 'events.jsonl'} is damaged: {error}") from error

    def past(self) -> tuple[PastEvent, ...]:
        """Losses, rejoins, weights put by hand and an interrupt: what a replay repeats."""
        names = self.names
        return past_events(self.events(), lambda node, slot: self.weights.put(names.index(node), slot))

    def windows(self) -> list[dict[str, str]]:
        """The rows of metrics.csv."""
        return list(csv.DictReader(self.read("metrics.csv").decode().splitlines()))

    def scalars(self) -> list[Scalar]:
        """What nodes reported of themselves, in order. ValueError where the file is damaged."""
        rows = csv.reader(self.read("scalars.csv").decode().splitlines()[1:])
        try:
            return [Scalar(int(slot), node, name, float(value)) for slot, node, name, value in rows]
        except ValueError as error:
            raise ValueError(f"{self.path / 'scalars.csv'} is damaged: {error}") from error

    @property
    def toll(self) -> TollTable:
        """The toll so far. ValueError where the file is damaged."""
        return TollTable.read(self.path, self.names)

    def read(self, file: str) -> bytes:
        """A file's bytes; none for one that was never written, as there was nothing to write."""
        path = self.path / file
        return path.read_bytes() if path.exists() else b""

    def _event(self, event: Event) -> None:
        self._append("events.jsonl", msgspec.json.encode(msgspec.structs.asdict(event)) + b"\n")
        self.log(event_line(event))
        if state := _STATES_AFTER.get(event.event):
            self.settle(state)
        if counted := COUNTED.get(event.event):
            self._write_json("meta.json", self.meta | {counted: self.meta[counted] + 1})

    def _cut(self, file: str, length: int) -> None:
        if length:
            os.truncate(self.path / file, length)
        else:
            (self.path / file).unlink(missing_ok=True)

    def _window(self, window: Window) -> None:
        names = list(window.sums)
        if not (self.path / "metrics.csv").exists():
            columns = [f"{name}_{part}" for name in names for part in ("sum", "count")]
            self._append("metrics.csv", ",".join(["phase", "first", "last", *columns]).encode() + b"\n")
        numbers = [repr(ratio[name]) for name in names for ratio in (window.sums, window.counts)]
        row = [window.phase, str(window.first), str(window.last), *numbers]
        self._append("metrics.csv", ",".join(row).encode() + b"\n")

    def _toll_window(self, window: TollWindow) -> None:
        if not (self.path / toll.TOLL_FILE).exists():
            self._append(toll.TOLL_FILE, f"{','.join(toll.TOLL_COLUMNS)}\n".encode())
        self._append(toll.TOLL_FILE, toll.lines(window, self.names))

    def _scalars(self, told: Scalars) -> None:
        if not (self.path / "scalars.csv").exists():
            self._append("scalars.csv", b"slot,node,name,value\n")
        lines = StringIO()
        csv.writer(lines, lineterminator="\n").writerows(
            (told.slot, told.node, name, repr(value)) for name, value in told.scalars.items()
        )
        self._append("scalars.csv", lines.getvalue().encode())

    def _ended(self, end: Ended) -> None:
        self._write_json("wire_book.json", msgspec.to_builtins(end.wire))
        told = {key: value for key, value in msgspec.structs.asdict(end).items() if key not in ("wire", "roll_back")}
        if not end.fingerprint:  # the channel server could not say any more what it was
            del told["fingerprint"]
        told["paced"] = msgspec.to_builtins(end.paced)
        self._write_json("meta.json", self.meta | told | {"trace_digest": self.trace_digest()})
        self.log(f"{end.state} after {end.slots} slots" + (f": {end.reason}" if end.reason else ""))

    def _with_own_files(self, config: RunConfig) -> RunConfig:
        """The configuration with the files it names copied in, so that the folder can be replayed wherever it lies."""
        copied = {}
        for key, value in config.world.model_dump().items():
            if isinstance(value, str) and value.endswith(FILE_SUFFIXES):
                copied[key] = f"{key}{Path(value).suffix}"
                self._write(copied[key], Path(value).read_text("utf-8"))
        return config.model_copy(update={"world": config.world.model_copy(update=copied)})

    def _append(self, file: str, data: bytes) -> None:
        with (self.path / file).open("ab") as stream:
            stream.write(data)

    def _write_json(self, file: str, data: Any) -> None:
        self._write(file, json.dumps(data, indent=2, allow_nan=False) + "\n")

    def _write(self, file: str, text: str) -> None:
        """Whole or not at all."""
        draft = self.path / f".{file}.tmp"
        draft.write_text(text, "utf-8")
        draft.replace(self.path / file)

    def _read_json(self, file: str) -> dict[str, Any]:
        try:
            data: dict[str, Any] = json.loads((self.path / file).read_bytes())
        except (OSError, ValueError) as error:
            raise ValueError(f"{self.path / file} cannot be read: {error}") from error
        return data


def event_line(event: Event) -> str:
    """An event as a person reads it."""
    what = f"{event.event} {event.node}" if event.node else event.event
    return f"slot {event.slot}, turn {event.turn}: {what}: {event.reason}"


def _event_files(config: RunConfig, path: Path) -> EventFiles | None:
    return EventFiles(path / "tensorboard") if config.record.tensorboard else None


def _run_id(config: RunConfig) -> str:
    scheme = config.scheme.name.replace("/", "_")
    return f"{config.world.name}-{scheme}-s{config.seed}-{secrets.token_hex(2)}"


def _fresh(config: RunConfig) -> tuple[str, Path]:
    """A run_id whose folder under `out` was not there, and that folder."""
    while True:
        run_id = _run_id(config)
        try:
            (Path(config.out) / run_id).mkdir(parents=True)
        except FileExistsError as error:
            if error.filename != str(Path(config.out) / run_id):
                raise  # `out` itself, or a folder above it, is a file
            continue
        return run_id, Path(config.out) / run_id


def _empty(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    if any(path.iterdir()):
        raise ConfigError(f"out: {path} is not empty; give a new folder, or remove it first")
    return path


def _first_meta(config: RunConfig, run_id: str, command: Sequence[str]) -> dict[str, Any]:
    return {
        "run_id": run_id,
        "command": list(command),
        "seed": config.seed,
        "versions": {name: version(name) for name in _LIBRARIES} | {"protocol": PROTOCOL_VERSION},
        "names": config.node_names,
        "agents": config.agents,
        "fingerprint": fingerprint(),
        "state": State.PENDING.value,
        "reason": "",
        **dict.fromkeys(COUNTED.values(), 0),
    }


def _summary(folder: RunFolder) -> dict[str, Any]:
    config, meta = folder.config, folder.meta
    told = ("slots", "wall_s", "fingerprint", "trace_digest", "probes", "state", "reason", "dropped", "missed", "paced")
    table = folder.toll
    stats = {} if config.signalling.ideal else toll.summarised_delivery(table.delivery("kind"))
    slots_per_s = meta["slots"] / meta["wall_s"] if meta["wall_s"] else 0.0
    return {
        "run_id": meta["run_id"],
        "seed": config.seed,
        "world": config.world.name,
        "scheme": config.scheme.name,
        "placement": config.placement,
        "replicas": config.replicas,
        **{key: meta[key] for key in (*told, *COUNTED.values())},
        "slots_per_s": round(slots_per_s, 1),
        "metrics": _means(folder.windows()),
        "toll": toll.summarised(table.by("kind")),
        "toll_by_phase": {
            span.phase: toll.summarised(table.by("kind", [span.phase])) for span in spans(config.schedule)
        },
        "wire": _wire_totals(folder),
        **({"signalling": stats} if stats else {}),
    }


def _means(windows: list[dict[str, str]]) -> dict[str, float | None]:
    """Each metric's sum over its count, over the eval phase; None where nothing was counted."""
    rows = [row for row in windows if row["phase"] == "eval"]
    names = [column.removesuffix("_sum") for column in (rows[0] if rows else ()) if column.endswith("_sum")]
    return {name: _ratio(_column(rows, f"{name}_sum"), _column(rows, f"{name}_count")) for name in names}


def _column(rows: list[dict[str, str]], name: str) -> float:
    return float(np.sum([float(row[name]) for row in rows]))


def _ratio(total: float, count: float) -> float | None:
    return total / count if count else None


def _wire_totals(folder: RunFolder) -> dict[str, int] | None:
    """Sums over connections; None where there were none."""
    connections = msgspec.json.decode(folder.read("wire_book.json") or b"[]", type=list[Connection])
    totalled: dict[str, int] | None = msgspec.to_builtins(totals(connections)) if connections else None
    return totalled
