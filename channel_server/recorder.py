"""What a run records: trace, air book, windows of metrics and toll, events, frames."""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any, Literal, assert_never

import msgspec
import numpy as np

from channel_server.distributions import OpenDistributions
from channel_server.toll_windows import TollWindows
from channel_server.worlds.contract import Distribution, Metric, SlotOutcome
from protocol.accounting.air_book import AirRow, encode_rows
from protocol.accounting.trace import WORLD_NODE, TraceField, TraceWriter
from protocol.messages.node import Note
from protocol.messages.plan import RunPlan
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

    def __init__(self, plan: RunPlan, metrics: Sequence[Metric], distributions: Sequence[Distribution] = ()) -> None:
        self.trace = TraceWriter(keep_values=plan.record.values, keeps=_keeps(plan))
        self._plan = plan.record
        self._names = [metric.name for metric in metrics]
        self._air_rows: list[AirRow] = []  # not encoded yet
        self._air_room = plan.record.air_book_rows
        self.air_rows_left_out = 0
        self._uncounted: list[AirRow] = []  # not in the toll yet
        self._toll = TollWindows(plan)
        self._distributions = OpenDistributions(distributions)
        self._last_slot = 0  # that was played
        self._frames: list[bytes] = []
        self._ready: list[Telemetry] = []
        self._encode = msgspec.msgpack.Encoder().encode
        self._window_first: tuple[str, int] | None = None
        self._clear_window()

    def notes(self, slot: int, turn: int, source: int, notes: Sequence[Note]) -> None:
        """The notes that a node sent in a turn."""
        # `sequence` is the last field, and is traced only where it is set: so the digests of notes that are not
        # acknowledged do not depend on how the others are numbered.
        traced = [
            (note.to, note.kind, note.body, note.payload_bits, note.link, note.attempt)
            if note.sequence is None
            else note
            for note in notes
        ]
        self.trace.add((slot, turn, source, TraceField.NOTES, self._encode(traced)))

    def outcome(self, slot: int, turn: int, phase: str, outcome: SlotOutcome) -> None:
        """Rewards and metrics of a slot."""
        add = self.trace.add
        for node, reward in enumerate(outcome.rewards):
            add((slot, turn, node, TraceField.REWARD, reward.tobytes()))
        ended = b"" if outcome.ended is None else outcome.ended.tobytes()
        metrics = outcome.sums.tobytes() + outcome.counts.tobytes() + ended
        add((slot, turn, WORLD_NODE, TraceField.METRICS, metrics))
        if self._window_first is None:
            self._window_first = (phase, slot)
        self._sums += outcome.sums
        self._counts += outcome.counts
        self._distributions.add(phase, slot, outcome.occurrences)

    def slot_done(self, slot: int, *, last_of_phase: bool) -> None:
        """Close the windows that end with this slot."""
        self._last_slot = slot
        if last_of_phase or (slot + 1) % self._plan.window_slots == 0:
            self._close_window(slot)
            self._close_toll()
        if last_of_phase:
            self._ready += self._distributions.close(slot)

    def finish(self) -> None:
        """Close the toll's windows and the phase: the run has ended, with its closing turn or without."""
        self._close_toll()
        self._ready += self._distributions.close(self._last_slot)

    def digest_pending(self) -> None:
        """Digest and count what was recorded. Called while the nodes compute, it delays no turn."""
        self.trace.digest_pending()
        self._toll.add(self._uncounted, last=self._last_slot)
        self._uncounted.clear()

    def air(self, rows: list[AirRow]) -> None:
        """Rows of the air book."""
        self._uncounted += rows
        kept = rows[: self._air_room]
        self._air_rows += kept
        self._air_room -= len(kept)
        if len(kept) < len(rows):
            self._leave_out(rows[len(kept) :])

    def _leave_out(self, rows: list[AirRow]) -> None:
        """Rows for which the air book has no room: they are in the toll's windows alone."""
        if not self.air_rows_left_out:
            reason = "the air book is full (record.air_book_rows): from here on only the toll counts notes, in full"
            self._ready.append(Event("warning", rows[0].slot, rows[0].turn, "channel server", reason))
        self.air_rows_left_out += len(rows)

    def event(self, event: Event) -> None:
        """Something happened to the run."""
        self._ready.append(event)

    def scalars(self, slot: int, node: str, scalars: dict[str, float]) -> None:
        """The numbers that a node reports."""
        self._ready.append(Scalars(slot, node, scalars))

    def node_state(self, part: NodeState) -> None:
        """A part of a node's state."""
        self._ready.append(part)

    def weights(self, weights: Weights) -> None:
        """Weights that a node received, or that were uploaded for it."""
        self._ready.append(weights)

    def order_done(self, done: OrderDone) -> None:
        """An order is carried out, or cannot be."""
        self._ready.append(done)

    def checkpoint(self, checkpoint: Checkpoint) -> None:
        """The run's state is complete; what was recorded before goes before it."""
        self._collect()
        self._ready.append(checkpoint)

    @property
    def trace_digest(self) -> str:
        """Of the whole trace so far, whatever is kept of it."""
        self.trace.digest_pending()
        return self.trace.digest.hexdigest()

    def frame(self, direction: Literal["up", "down"], name: str, frame: bytes) -> None:
        """Keep a frame that was sent or received."""
        self._frames.append(msgspec.msgpack.encode((direction, name, frame)))

    def drain(self) -> list[Telemetry]:
        """Telemetry since the last call, in an order in which it may be written to files."""
        self._collect()
        ready, self._ready = self._ready, []
        return ready

    def snapshot(self) -> dict[str, Any]:
        """The windows that are open between two slots."""
        self.digest_pending()
        metrics = {"first": self._window_first, "sums": self._sums, "counts": self._counts}
        kept = {"trace": self.trace.digest.snapshot(), "air": [self._air_room, self.air_rows_left_out]}
        counted = {"toll": self._toll.snapshot(), "distributions": self._distributions.snapshot()}
        return metrics | kept | counted | {"last_slot": self._last_slot}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._window_first = None if data["first"] is None else tuple(data["first"])
        self._sums, self._counts = data["sums"], data["counts"]
        self._toll.restore(data["toll"])
        self._distributions.restore(data["distributions"])
        self._last_slot = data["last_slot"]
        self.trace.digest.restore(data["trace"])
        self._air_room, self.air_rows_left_out = data["air"]

    def _collect(self) -> None:
        rows, values = self.trace.drain()
        self._chunk("trace.bin", rows)
        self._chunk("values.msgpack", values)
        self._chunk("air_book.msgpack", encode_rows(self._air_rows))
        self._chunk("frames.msgpack", b"".join(self._frames))
        self._air_rows.clear()
        self._frames.clear()

    def _chunk(self, file: ChunkFile, data: bytes) -> None:
        if data:
            self._ready.append(Chunk(file, data))

    def _close_toll(self) -> None:
        self.digest_pending()
        self._ready += self._toll.close(last=self._last_slot)

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


def _keeps(plan: RunPlan) -> Callable[[int], bool]:
    """Whether the trace's rows of a slot are kept."""
    match plan.record.trace:
        case "all":
            return lambda _: True
        case "none":
            return lambda _: False
        case "eval":
            played = [phase for phase in plan.phases if phase.slots]
            ends = list(accumulate(phase.slots for phase in played))
            # the closing turn comes after the last slot and belongs to the last phase
            return lambda slot: played[min(bisect_right(ends, slot), len(played) - 1)].name == "eval"
        case _:
            assert_never(plan.record.trace)
