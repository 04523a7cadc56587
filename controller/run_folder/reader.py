"""The reader of a run's folder, while the run is running or later. It parses files; it resolves no configuration.

A file that grows is read up to its last complete line.
"""

import csv
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy.typing as npt

from controller.config.layers import FILE_SUFFIXES
from controller.run_folder import distributions
from controller.run_folder.checkpoints import Checkpoints
from controller.run_folder.files import DamagedFileError, csv_rows, read_if_exists, whole_lines
from controller.run_folder.layout import (
    AIR_BOOK,
    CONFIG,
    EVENTS,
    LOG,
    MAP,
    METRICS,
    SCALAR_HEADER,
    SCALARS,
    SUMMARY,
    TRACE,
    WIRE_BOOK,
)
from controller.run_folder.meta import RunMeta
from controller.run_folder.remarks import Remarks
from controller.run_folder.toll import TollKey, TollTable, summarised_delivery
from controller.run_folder.weights import WeightsFolder
from protocol.accounting import trace
from protocol.accounting.air_book import AirRow, decode_rows
from protocol.accounting.wire_book import Connection
from protocol.messages.plan import PastEvent, past_events
from protocol.messages.telemetry import Event, Scalars, Window


class NotARunError(ValueError):
    """A folder that holds no run."""


class Scalar(NamedTuple):
    """One number that a node reported of itself."""

    slot: int
    node: str
    name: str
    value: float


class RunFolder:
    """A folder with a run in it, finished or not. DamagedFileError wherever a file is damaged."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = Checkpoints(path)
        self.weights = WeightsFolder(path)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """The folder of a run. NotARunError when there is none."""
        if not (path / CONFIG).is_file():
            raise NotARunError(f"{path} is not a run's folder: no {CONFIG}")
        return cls(path)

    @property
    def config_file(self) -> Path:
        """The configuration, for commands that execute the run again."""
        return self.path / CONFIG

    @property
    def meta(self) -> RunMeta:
        """Names, units, versions, state, how the run ended."""
        return RunMeta.read(self.path)

    @property
    def world_params(self) -> dict[str, Any]:
        """The world's parameters; files among them as paths from the working directory."""
        return {key: self._from_here(value) for key, value in self.meta.world_params.items()}

    @property
    def summary(self) -> dict[str, Any]:
        """The results on one page. DamagedFileError for a run that was cut off before it was written."""
        if not (self.path / SUMMARY).is_file():
            raise DamagedFileError(f"{self.path} has no {SUMMARY}: the run was cut off; its books and trace are there")
        return self._json(SUMMARY)

    @property
    def names(self) -> list[str]:
        """Names by node index."""
        return self.meta.names

    @property
    def map(self) -> dict[str, Any]:
        """The world's last drawing: `slot`, None before the first, and the `map`."""
        return self._json(MAP) if (self.path / MAP).exists() else {"slot": None, "map": {}}

    def windows(self) -> list[Window]:
        """The windows of metrics, in order."""
        try:
            return [_window(row) for row in csv_rows(self.path / METRICS)]
        except (KeyError, TypeError, ValueError) as error:
            raise DamagedFileError(f"{self.path / METRICS} is damaged: {error}") from error

    def histograms(self) -> list[distributions.Histogram]:
        """How often each value of the world's distributions occurred, phase by phase; empty if it has none."""
        return distributions.read(self.path)

    def scalars(self) -> list[Scalar]:
        """What nodes reported of themselves, in order."""
        lines = whole_lines(self.path / SCALARS)
        try:
            if lines and lines[0] != SCALAR_HEADER:
                raise ValueError(f"its first line is {lines[0]!r}")
            rows = csv.reader(lines[1:])
            return [Scalar(int(slot), node, name, float(value)) for slot, node, name, value in rows]
        except ValueError as error:
            raise DamagedFileError(f"{self.path / SCALARS} is damaged: {error}") from error

    def events(self) -> list[Event]:
        """What happened to the run, in order."""
        try:
            return [Event(**json.loads(line)) for line in whole_lines(self.path / EVENTS)]
        except (TypeError, ValueError) as error:
            raise DamagedFileError(f"{self.path / EVENTS} is damaged: {error}") from error

    def remarks(self) -> Remarks:
        """What is to be known of the results until now."""
        remarks = Remarks()
        for event in self.events():
            remarks.take(event)
        for scalar in self.scalars():
            remarks.take(Scalars(scalar.slot, scalar.node, {scalar.name: scalar.value}))
        return remarks

    def past(self) -> tuple[PastEvent, ...]:
        """The events that a replay repeats: losses, rejoins, uploaded weights and an interrupt."""
        names = self.names
        return past_events(self.events(), lambda node, slot: self.weights.uploaded(names.index(node), slot))

    def air_rows(self) -> Iterator[AirRow]:
        """The air book; without the `air_rows_left_out` of the run's meta data."""
        return decode_rows(self.read(AIR_BOOK))

    @property
    def toll(self) -> TollTable:
        """The toll so far. DamagedFileError."""
        return TollTable.read(self.path, self.names)

    def delivery_stats(self, key: TollKey = "kind", phases: Collection[str] | None = None) -> dict[str, dict[str, Any]]:
        """What the signalling model did to the notes, per kind, node or link class; empty under ideal signalling."""
        return {} if self.meta.ideal_signalling else summarised_delivery(self.toll.delivery(key, phases))

    def wire_book(self) -> list[Connection]:
        """One account per connection; empty before the run's end, and for runs in one process."""
        try:
            return msgspec.json.decode(self.read(WIRE_BOOK) or b"[]", type=list[Connection])
        except ValueError as error:
            raise DamagedFileError(f"{self.path / WIRE_BOOK} is damaged: {error}") from error

    def trace_rows(self) -> npt.NDArray[Any]:
        """The trace's rows."""
        try:
            return trace.read_rows(self.read(TRACE))
        except ValueError as error:
            raise DamagedFileError(f"{self.path / TRACE}: {error}") from error

    def trace_digest(self) -> str:
        """The digest of a trace of which all rows are kept: equal for equal runs."""
        return trace.digest_of(self.read(TRACE))

    def log_lines(self, *, after: int, limit: int) -> tuple[list[str], int]:
        """At most `limit` complete lines of the log from the byte `after` on; the byte where the next ones begin."""
        data = self.read(LOG)[after:]
        lines = data[: data.rfind(b"\n") + 1].splitlines(keepends=True)[:limit]
        return [line.decode(errors="replace").rstrip("\n") for line in lines], after + sum(map(len, lines))

    def read(self, file: str) -> bytes:
        """A file's bytes; none for one that does not exist, since there was nothing to write."""
        return read_if_exists(self.path / file)

    def _json(self, file: str) -> dict[str, Any]:
        try:
            data = json.loads((self.path / file).read_bytes())
            if not isinstance(data, dict):
                raise ValueError("it is no JSON object")
        except (FileNotFoundError, NotADirectoryError, ValueError) as error:
            raise DamagedFileError(f"{self.path / file} cannot be read: {error}") from error
        return data

    def _from_here(self, value: Any) -> Any:
        return str(self.path / value) if isinstance(value, str) and value.endswith(FILE_SUFFIXES) else value


def _window(row: dict[str, str]) -> Window:
    names = [column.removesuffix("_sum") for column in row if column.endswith("_sum")]
    sums, counts = ({name: float(row[f"{name}_{part}"]) for name in names} for part in ("sum", "count"))
    return Window(row["phase"], int(row["first"]), int(row["last"]), sums, counts)
