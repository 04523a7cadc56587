"""What the channel server tells the controller about a run. Telemetry is not signalling: it is in no book."""

from typing import Literal, Protocol

from msgspec import Struct

from protocol.wire_book import Connection

TELEMETRY_EVERY_S = 0.25
# What the controller may say to the channel server; anything else is why the run cannot go on.
INTERRUPT = b"interrupt"
PAUSE = b"pause"
CONTINUE = b"continue"

ChunkFile = Literal["trace.bin", "values.msgpack", "air_book.msgpack", "frames.msgpack"]
EndState = Literal["done", "failed", "interrupted"]


class Listening(Struct, frozen=True, tag=True):
    """The channel server takes nodes at `endpoint`."""

    endpoint: str


class Chunk(Struct, frozen=True, tag=True):
    """Bytes to append to a file of the run's folder."""

    file: ChunkFile
    data: bytes


class Window(Struct, frozen=True, tag=True):
    """Metrics of the slots first..last (inclusive, all of one phase) as sums and counts, by metric name."""

    phase: str
    first: int
    last: int
    sums: dict[str, float]
    counts: dict[str, float]


class Event(Struct, frozen=True, tag=True):
    """Something that happened to the run at a slot and turn; the first three kinds are needed to replay it."""

    event: Literal["lost", "rejoined", "interrupted", "paused", "resumed", "refused", "dropped", "warning"]
    slot: int
    turn: int
    node: str
    reason: str


class Scalars(Struct, frozen=True, tag=True):
    """Figures a node reports of itself at a slot: losses, updates, weights version."""

    slot: int
    node: str
    scalars: dict[str, float]


class Progress(Struct, frozen=True, tag=True):
    """The run has finished `slot` slots."""

    slot: int


class Ended(Struct, frozen=True, tag=True):
    """The last telemetry of a run. `dropped`: frames not taken, by reason; `missed`: slots missed, by node.

    `wire`: one account per connection, empty in-process. `wall_s`: from the first slot to the last.
    """

    state: EndState
    reason: str
    slots: int
    wall_s: float
    probes: int
    dropped: dict[str, int]
    missed: dict[str, int]
    wire: list[Connection]
    fingerprint: dict[str, str]


Telemetry = Listening | Chunk | Window | Event | Scalars | Progress | Ended


class Sink(Protocol):
    """Where telemetry goes: a run's folder, a socket."""

    def __call__(self, telemetry: Telemetry, /) -> None: ...
