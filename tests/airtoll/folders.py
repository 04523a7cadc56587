"""Folders of small runs, written from telemetry that the tests construct."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from msgspec import structs

from channel_server.toll_windows import TollWindows
from controller.config.resolved import ResolvedRun, load
from controller.run_folder.reader import RunFolder
from controller.run_folder.writer import RunWriter
from protocol.accounting.air_book import AirRow, AttemptOutcome, encode_rows
from protocol.accounting.trace import WORLD_NODE, TraceField, TraceWriter
from protocol.accounting.wire_book import NULL, Connection, Leg
from protocol.determinism.fingerprint import fingerprint
from protocol.messages.kinds import Kind, LinkClass
from protocol.messages.plan import PhasePlan
from protocol.messages.telemetry import Chunk, Ended, Event, TollWindow, Window

CELL: dict[str, Any] = {
    "world": {"name": "d2d_underlay", "pairs": 3, "rbs": 2},
    "scheme": "li2020/random",
    "slots": 4,
    "placement": "in-process",
}


def config(**changes: Any) -> ResolvedRun:
    """A cell of three pairs, for four slots."""
    return load(CELL | changes)


def ended(**changes: Any) -> Ended:
    """The end of a run that succeeded."""
    fields: dict[str, Any] = {
        "state": "SUCCEEDED",
        "reason": "",
        "slots": 4,
        "wall_s": 0.5,
        "probes": 0,
        "dropped": {},
        "missed": {},
        "wire": [],
        "fingerprint": fingerprint(),
    }
    return Ended(**fields | changes)


def traced(*, slots: int = 4, values: bool = False, last: bytes = b"last") -> list[Chunk]:
    """A trace of two rows per slot; `last` is the last slot's action of pair-1."""
    writer = TraceWriter(keep_values=values)
    for slot in range(slots):
        writer.add((slot, 0, 1, TraceField.ACTION, last if slot == slots - 1 else b"%d" % slot))
        writer.add((slot, 1, WORLD_NODE, TraceField.METRICS, bytes(8)))
    rows, kept = writer.drain()
    return [Chunk("trace.bin", rows), *([Chunk("values.msgpack", kept)] if values else [])]


def air(
    source: int, kind: Kind, *, slot: int = 0, attempt: int = 1, bits: int = 36, size: int = 5, copies: int = 2
) -> AirRow:
    """A broadcast over the sidelink."""
    head = (slot, 0, source, (1, 2), LinkClass.SIDELINK, kind)
    return AirRow(*head, attempt, AttemptOutcome.DELIVERED, bits, size, copies, slot)


def toll_windows(
    rows: Iterable[AirRow], *phases: tuple[str, int], window_slots: int = 100, played: int | None = None
) -> list[TollWindow]:
    """The toll of a whole run's air book, by default of a run of four slots; `played`: or of its first slots."""
    plans = tuple(PhasePlan(name, slots) for name, slots in phases or [("eval", 4)])  # type: ignore[arg-type]
    plan = structs.replace(config().plan_for("test"), phases=plans)
    toll = TollWindows(structs.replace(plan, record=structs.replace(plan.record, window_slots=window_slots)))
    last = (plan.slots if played is None else played) - 1
    toll.add(rows, last=last)
    return toll.close(last=last)


def window(phase: str, first: int, last: int, total: float, count: float) -> Window:
    """A window of one metric."""
    return Window(phase, first, last, {"rate": total, "idle": 0.0}, {"rate": count, "idle": 0.0})


def connection() -> Connection:
    """200 bytes up, of which 40 in notes; a handshake down."""
    up, down = Leg(framing_bytes=NULL.up_handshake), Leg(framing_bytes=NULL.down_handshake)
    up.book(200, 4, 40, NULL.of(200))
    return Connection("pair-0", up, down, 7)


def write(at: Path, telemetry: Iterable[Any], **changes: Any) -> RunWriter:
    """A folder to which all this was written."""
    return _written(RunWriter.create(config(**changes), at=at, command=["airtoll", "run", "cell.yaml"]), telemetry)


def make(at: Path, telemetry: Iterable[Any], **changes: Any) -> RunFolder:
    """The same, to be read."""
    return write(at, telemetry, **changes).folder


def learning(at: Path, telemetry: Iterable[Any], **changes: Any) -> RunFolder:
    """A folder of three slots of training and two of evaluation."""
    phased = {key: value for key, value in CELL.items() if key != "slots"} | {"phases": {"train": 3, "eval": 2}}
    return _written(RunWriter.create(load(phased | changes), at=at), telemetry).folder


def finished(at: Path, *, values: bool = False, last: bytes = b"last") -> RunFolder:
    """A folder with a bit of everything, summary included."""
    rows = [air(0, Kind.NEIGHBOUR), air(2, Kind.CSI, bits=64, size=8)]
    writer = write(
        at,
        [
            *traced(values=values, last=last),
            Chunk("air_book.msgpack", encode_rows(rows)),
            *toll_windows(rows),
            window("eval", 0, 3, 6.0, 4.0),
            Event("lost", 2, 0, "pair-1", "connection gone"),
            Event("warning", 2, 0, "pair-2", "slow"),
            ended(),
        ],
    )
    writer.summarise()
    return writer.folder


def _written(writer: RunWriter, telemetry: Iterable[Any]) -> RunWriter:
    for message in telemetry:
        writer(message)
    return writer
