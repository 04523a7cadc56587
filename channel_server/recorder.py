"""What a run leaves behind: trace, air book, metrics windows, events, recorded frames."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec
import numpy as np

from channel_server.worlds.contract import Metric, SlotOutcome
from protocol.accounting.air_book import AirRow, encode_rows
from protocol.accounting.trace import WORLD_NODE, TraceField, TraceWriter
from protocol.messages.node import Note, Report
from protocol.messages.plan import RecordPlan
from protocol.messages.telemetry import (
    Checkpoint,
    Chunk,
    ChunkFile,
    Event,
    NodeState,
    OrderDone,
    Scalars,
    Telemetry,
    Weights,
    Window,
)


class Recorder:
    """Collects telemetry; `drain` hands it over. Windows are cut by slots, never by when they are drained."""

    def __init__(self, plan: RecordPlan, metrics: Sequence[Metric]) -> None:
        self.trace = TraceWriter(keep_values=plan.values)
        self._plan = plan
        self._names = [metric.name for metric in metrics]
        self._air_rows: list[AirRow] = []
        self._frames: list[bytes] = []
        self._ready: list[Telemetry] = []
        self._encode = msgspec.msgpack.Encoder().encode
        self._window_first: tuple[str, int] | None = None
        self._clear_window()

    def notes(self, slot: int, turn: int, source: int, notes: Sequence[Note]) -> None:
        """What a node told in a turn."""
        self.trace.add(slot, turn, source, TraceField.NOTES, self._encode(notes))

    def outcome(self, slot: int, turn: int, phase: str, outcome: SlotOutcome) -> None:
        """Rewards and metrics of a slot."""
        add = self.trace.add
        for node, reward in enumerate(outcome.rewards):
            add(slot, turn, node, TraceField.REWARD, reward.tobytes())
        add(slot, turn, WORLD_NODE, TraceField.METRICS, outcome.sums.tobytes() + outcome.counts.tobytes())
        if self._window_first is None:
            self._window_first = (phase, slot)
        self._sums += outcome.sums
        self._counts += outcome.counts

    def slot_done(self, slot: int, *, last_of_phase: bool) -> None:
        """Close the metrics window where it ends."""
        if last_of_phase or (slot + 1) % self._plan.window_slots == 0:
            self._close_window(slot)

    def air(self, rows: list[AirRow]) -> None:
        """Rows of the air book."""
        self._air_rows += rows

    def event(self, event: Event) -> None:
        """Something happened to the run."""
        self._ready.append(event)

    def scalars(self, report: Report, node: str) -> None:
        """What a node says of itself."""
        self._ready.append(Scalars(report.slot, node, report.scalars))

    def state(self, part: NodeState) -> None:
        """A part of a node's state."""
        self._ready.append(part)

    def weights(self, weights: Weights) -> None:
        """What a node acts by."""
        self._ready.append(weights)

    def answered(self, answered: OrderDone) -> None:
        """An order is carried out, or cannot be."""
        self._ready.append(answered)

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """The run's state is complete; what was recorded before goes before it."""
        self._collect()
        self._ready.append(checkpoint)

    @property
    def frames_slots(self) -> int:
        """Of how many slots, from the first, frames are kept."""
        return self._plan.frames_slots

    def frame(self, direction: Literal["up", "down"], name: str, frame: bytes) -> None:
        """Keep a frame that crossed."""
        self._frames.append(msgspec.msgpack.encode((direction, name, frame)))

    def drain(self) -> list[Telemetry]:
        """Telemetry since the last call, in an order in which it may be written down."""
        self._collect()
        ready, self._ready = self._ready, []
        return ready

    def _collect(self) -> None:
        rows, values = self.trace.drain()
        self._chunk("trace.bin", rows)
        self._chunk("values.msgpack", values)
        self._chunk("air_book.msgpack", encode_rows(self._air_rows))
        self._chunk("frames.msgpack", b"".join(self._frames))
        self._air_rows.clear()
        self._frames.clear()

    def snapshot(self) -> dict[str, Any]:
        """The metrics window that is open."""
        return {"first": self._window_first, "sums": self._sums, "counts": self._counts}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._window_first = None if data["first"] is None else tuple(data["first"])
        self._sums, self._counts = data["sums"], data["counts"]

    def _chunk(self, file: ChunkFile, data: bytes) -> None:
        if data:
            self._ready.append(Chunk(file, data))

    def _close_window(self, last: int) -> None:
        if self._window_first is None:
            return
        phase, first = self._window_first
        sums = dict(zip(self._names, self._sums.tolist(), strict=True))
        counts = dict(zip(self._names, self._counts.tolist(), strict=True))
        self._ready.append(Window(phase, first, last, sums, counts))
        self._clear_window()

    def _clear_window(self) -> None:
        self._window_first = None
        self._sums = np.zeros(len(self._names))
        self._counts = np.zeros(len(self._names))
