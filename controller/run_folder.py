"""A run's folder: all that a run leaves behind, written as it comes, readable by anyone with MessagePack and JSON.

config.yaml        the resolved configuration; `airtoll run config.yaml` repeats the run
meta.json          versions, fingerprint, seed, command, node names; how the run ended
metrics.csv        sums and counts per window of slots
events.jsonl       losses, rejoins, refusals, warnings
trace.bin          digests, protocol.trace.ROW        values.msgpack   full values, if asked for
air_book.msgpack   one row per transmission attempt   wire_book.json   one account per connection
frames.msgpack     the first slots' frames            summary.json     the run in one page
log.txt            what a person wants to read first
"""

import csv
import json
import secrets
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

from controller.configuration import RunConfig, dump_yaml, load
from controller.faults import ConfigError
from protocol import trace
from protocol.air_book import AirRow, decode_rows, toll_by_kind
from protocol.fingerprint import fingerprint
from protocol.messages import PROTOCOL_VERSION
from protocol.plan import PastEvent, past_events
from protocol.telemetry import Chunk, Ended, Event, Listening, Progress, Telemetry, Window
from protocol.wire_book import Connection, totals

_LIBRARIES = ("airtoll", "msgpack", "msgspec", "numpy", "pydantic", "pyzmq", "xxhash")


class NotARunError(ValueError):
    """A folder that holds no run."""


class RunFolder:
    """A folder with a run in it. While the run goes on it is a sink for telemetry (`folder(telemetry)`)."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, config: RunConfig, *, at: Path | None = None, command: Sequence[str] = ()) -> "RunFolder":
        """A new folder, `at` or under the configuration's `out`. ConfigError when it cannot be made or is not empty."""
        try:
            run_id, path = _fresh(config) if at is None else (_run_id(config), _empty(at))
        except OSError as error:
            where = error.filename or at or config.out
            raise ConfigError(f"out: {where} cannot be made: {error.strerror}; give another folder") from error
        folder = cls(path)
        folder._write("config.yaml", dump_yaml(config))
        folder._write_json("meta.json", _first_meta(config, run_id, command))
        return folder

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """The folder of a run, finished or not. NotARunError when there is none."""
        if not (path / "config.yaml").is_file():
            raise NotARunError(f"{path} is not a run's folder: no config.yaml")
        return cls(path)

    # while the run goes on

    def __call__(self, telemetry: Telemetry, /) -> None:
        """Write down what the channel server tells. Every call leaves the files complete so far."""
        match telemetry:
            case Chunk(file, data):
                self._append(file, data)
            case Window():
                self._window(telemetry)
            case Event():
                self._append("events.jsonl", msgspec.json.encode(msgspec.structs.asdict(telemetry)) + b"\n")
                self.log(event_line(telemetry))
            case Listening(endpoint):
                self.log(f"listening at {endpoint}")
            case Ended():
                self._ended(telemetry)
            case Progress():
                pass

    def log(self, line: str) -> None:
        """One line for log.txt."""
        self._append("log.txt", f"{line}\n".encode())

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
        """Losses, rejoins and an interrupt: what a replay repeats."""
        return past_events(self.events())

    def windows(self) -> list[dict[str, str]]:
        """The rows of metrics.csv."""
        return list(csv.DictReader(self.read("metrics.csv").decode().splitlines()))

    def read(self, file: str) -> bytes:
        """A file's bytes; none for one that was never written, as there was nothing to write."""
        path = self.path / file
        return path.read_bytes() if path.exists() else b""

    def _window(self, window: Window) -> None:
        names = list(window.sums)
        if not (self.path / "metrics.csv").exists():
            columns = [f"{name}_{part}" for name in names for part in ("sum", "count")]
            self._append("metrics.csv", ",".join(["phase", "first", "last", *columns]).encode() + b"\n")
        numbers = [repr(ratio[name]) for name in names for ratio in (window.sums, window.counts)]
        row = [window.phase, str(window.first), str(window.last), *numbers]
        self._append("metrics.csv", ",".join(row).encode() + b"\n")

    def _ended(self, end: Ended) -> None:
        self._write_json("wire_book.json", msgspec.to_builtins(end.wire))
        told = {key: value for key, value in msgspec.structs.asdict(end).items() if key != "wire"}
        self._write_json("meta.json", self.meta | told | {"trace_digest": self.trace_digest()})
        self.log(f"{end.state} after {end.slots} slots" + (f": {end.reason}" if end.reason else ""))

    def _append(self, file: str, data: bytes) -> None:
        with (self.path / file).open("ab") as stream:
            stream.write(data)

    def _write_json(self, file: str, data: Any) -> None:
        self._write(file, json.dumps(data, indent=2) + "\n")

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
    return f"slot {event.slot}, turn {event.turn}: {event.event} {event.node}: {event.reason}"


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
        "state": "running",
        "reason": "",
    }


def _summary(folder: RunFolder) -> dict[str, Any]:
    config, meta = folder.config, folder.meta
    told = ("slots", "wall_s", "fingerprint", "trace_digest", "probes", "state", "reason", "dropped", "missed")
    slots_per_s = meta["slots"] / meta["wall_s"] if meta["wall_s"] else 0.0
    return {
        "run_id": meta["run_id"],
        "seed": config.seed,
        "world": config.world.name,
        "scheme": config.scheme.name,
        "placement": config.placement,
        "replicas": config.replicas,
        **{key: meta[key] for key in told},
        "slots_per_s": round(slots_per_s, 1),
        "metrics": _means(folder.windows()),
        "toll": {kind: _told(toll) for kind, toll in toll_by_kind(folder.air_rows()).items()},
        "wire": _wire_totals(folder),
    }


def _told(toll: Any) -> dict[str, int]:
    return {"notes": toll.notes, "payload_bits": toll.payload_bits, "note_bytes": toll.note_bytes}


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
