"""Runs of the kits: in this process, step by step or in processes, with all telemetry kept in memory."""

from collections.abc import Iterator

import msgpack

from channel_server.core import Past
from channel_server.waiting import Waiting
from controller.execution.building import build_world
from controller.execution.in_process import Loopback, run_in_process
from controller.execution.processes import run_processes
from protocol.accounting.air_book import AirRow, decode_rows
from protocol.accounting.trace import first_divergence, read_rows
from protocol.messages.plan import PastEvent, RunPlan, past_events
from protocol.messages.telemetry import (
    Checkpoint,
    Chunk,
    Ended,
    Event,
    NodeState,
    Occurrences,
    OrderDone,
    Scalars,
    Telemetry,
    TollWindow,
    Weights,
    Window,
)


def is_stop(event: Event) -> bool:
    """Whether the channel server reports that it did not run for a while: it may on any busy machine."""
    return (event.event, event.node) == ("warning", "channel server") and event.reason.startswith("it did not run for")


class Recording:
    """A telemetry sink that keeps everything. `events` are without `stops`, which depend on the machine."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.events: list[Event] = []
        self.stops: list[Event] = []
        self.windows: list[Window] = []
        self.occurrences: list[Occurrences] = []
        self.toll: list[TollWindow] = []
        self.scalars: list[Scalars] = []
        self.weights: list[Weights] = []
        self.answers: list[OrderDone] = []
        self.ended: Ended | None = None

    def __call__(self, telemetry: Telemetry) -> None:
        match telemetry:
            case Chunk(file, data):
                self.files[file] = self.files.get(file, b"") + data
            case Event():
                (self.stops if is_stop(telemetry) else self.events).append(telemetry)
            case Window():
                self.windows.append(telemetry)
            case Occurrences():
                self.occurrences.append(telemetry)
            case TollWindow():
                self.toll.append(telemetry)
            case Scalars():
                self.scalars.append(telemetry)
            case Weights():
                self.weights.append(telemetry)
            case OrderDone():
                self.answers.append(telemetry)
            case Ended():
                self.ended = telemetry
            case _:
                pass

    def copy(self) -> "Recording":
        """A copy of what was recorded until now."""
        other = Recording()
        other.files, other.events, other.windows = dict(self.files), list(self.events), list(self.windows)
        other.weights, other.toll, other.stops = list(self.weights), list(self.toll), list(self.stops)
        other.occurrences = list(self.occurrences)
        return other

    @property
    def trace(self) -> bytes:
        return self.files.get("trace.bin", b"")

    @property
    def air(self) -> list[AirRow]:
        return list(decode_rows(self.files.get("air_book.msgpack", b"")))

    @property
    def values(self) -> list[tuple[int, int, int, int, bytes]]:
        """Recorded values: slot, turn, node, field, value."""
        unpacker = msgpack.Unpacker(use_list=False)
        unpacker.feed(self.files.get("values.msgpack", b""))
        return list(unpacker)

    @property
    def past(self) -> tuple[PastEvent, ...]:
        """What a replay repeats."""
        puts = [event for event in self.events if event.event == "uploaded"]
        bodies = [weights.body for weights in self.weights if weights.uploaded]
        put = {(event.node, event.slot): body for event, body in zip(puts, bodies, strict=True)}
        return past_events(self.events, lambda node, slot: put[node, slot])


class Checkpointed(Recording):
    """A recording that keeps checkpoints: `pasts`, each with what was recorded until then."""

    def __init__(self) -> None:
        super().__init__()
        self.pasts: list[tuple[Past, Recording]] = []
        self._states: dict[int, bytes] = {}

    def __call__(self, telemetry: Telemetry) -> None:
        match telemetry:
            case NodeState(node, offset, data):
                self._states[node] = self._states.get(node, b"")[:offset] + data
            case Checkpoint(slot, nodes, channel_server):
                past = Past(slot, channel_server, {node: self._states[node] for node in nodes})
                self.pasts.append((past, self.copy()))
            case _:
                super().__call__(telemetry)


def in_process(plan: RunPlan) -> Recording:
    """The run, in this process."""
    recording = Recording()
    run_in_process(plan, recording)
    return recording


def in_processes(plan: RunPlan) -> Recording:
    """The run, one process per node."""
    recording = Recording()
    run_processes(plan, recording)
    return recording


def stepping(plan: RunPlan) -> tuple[Loopback, Iterator[None], Recording]:
    """A run in this process that advances one frame per `next`; the recording is complete when it is exhausted."""
    loopback, recording = Loopback(plan, build_world(plan)), Recording()
    return loopback, steps(loopback, recording), recording


def steps(loopback: Loopback, recording: Recording) -> Iterator[None]:
    """Play all of a run, one frame per `next`, and record it."""
    loopback.seat_all()
    while loopback.run.waiting is not Waiting.NOTHING and loopback.step():
        yield
    for telemetry in loopback.run.telemetry():
        recording(telemetry)
    recording(loopback.run.ended(wall_s=0.0, wire=[]))


def assert_same_trace(a: Recording, b: Recording) -> None:
    """Both traces are there and equal."""
    assert a.trace, "no trace was recorded"
    assert first_divergence(read_rows(a.trace), read_rows(b.trace)) is None
