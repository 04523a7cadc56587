"""What the channel server tells the controller about a run. Telemetry is not signalling: it is in no book."""

from typing import Any, Literal, Protocol

from msgspec import Struct

from protocol.accounting.wire_book import Connection

TELEMETRY_EVERY_S = 0.25
# What the controller may say to the channel server; anything else is why the run cannot go on.
INTERRUPT = b"interrupt"
PAUSE = b"pause"
CONTINUE = b"continue"
ORDER = b"order"  # followed by a frame with a protocol.messages.orders.Order

ChunkFile = Literal["trace.bin", "values.msgpack", "air_book.msgpack", "frames.msgpack"]
EndState = Literal["SUCCEEDED", "FAILED", "STOPPED"]  # of controller.run_folder.status


class Listening(Struct, frozen=True, tag=True):
    """The channel server takes nodes at `endpoint`; `key`: its public key if it is locked, Z85."""

    endpoint: str
    key: str = ""


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
    """Something that happened to the run at a slot and turn; the first four kinds are needed to replay it."""

    event: Literal[
        "lost",
        "rejoined",
        "interrupted",
        "put",
        "refused",
        "dropped",
        "warning",
        "restarted",
        "rolled back",
        "resumed",
        "paused",
        "continued",
    ]
    slot: int
    turn: int
    node: str
    reason: str


class Scalars(Struct, frozen=True, tag=True):
    """Figures a node reports of itself at a slot: losses, updates, weights version."""

    slot: int
    node: str
    scalars: dict[str, float]


class NodeState(Struct, frozen=True, tag=True):
    """A part of a node's state, to be kept for the Checkpoint that follows. `offset`: where it begins."""

    node: int
    offset: int
    data: bytes


class Checkpoint(Struct, frozen=True, tag=True):
    """The run's state before `slot` is complete: of the channel server, and of `nodes` as told before.

    Everything told before this belongs to the slots before `slot`, everything after it to the later ones.
    """

    slot: int
    nodes: list[int]
    channel_server: bytes


class Weights(Struct, frozen=True, tag=True):
    """The weights that the node of an index was given last, told to it in `slot`; or those that were put by hand there,
    whether they arrived or not. `body`: of the note, without its number."""

    node: int
    slot: int
    body: bytes
    uploaded: bool = False


class OrderDone(Struct, frozen=True, tag=True):
    """An order of the owner's is carried out; `problem`: or why it is not."""

    order: str
    problem: str = ""


class Progress(Struct, frozen=True, tag=True):
    """The run has finished `slot` slots. `waiting`: what it waits for, by the name of a
    `channel_server.waiting.Waiting`. `awaited`: the nodes it waits for, eight names at most of `awaited_count`."""

    slot: int
    waiting: str = ""
    awaited: list[str] = []
    awaited_count: int = 0


class MapUpdate(Struct, frozen=True, tag=True):
    """What the world shows of its replica 0 after `slot`, for people to look at: numbers and lists of them, by name."""

    slot: int
    map: dict[str, Any]


class Spread(Struct, frozen=True):
    """A distribution of times, in ms."""

    mean: float
    p50: float
    p99: float
    max: float


class Paced(Struct, frozen=True):
    """How a paced run kept its time. By node: the `turns` it was waited for in, those it `missed`, and how many of its
    answers came `late`. `length_ms`: of slots, from begin to begin; `lateness_ms`: of their begins."""

    slot_ms: float
    turns: dict[str, int]
    missed: dict[str, int]
    late: dict[str, int]
    length_ms: Spread
    lateness_ms: Spread


class Ended(Struct, frozen=True, tag=True):
    """The last telemetry of a run. `dropped`: frames not taken, by reason; `missed`: slots missed, by node.

    `wire`: one account per connection, empty in-process. `wall_s`: from the first slot to the last. `paced`: None in
    lockstep. `roll_back`: the plan says that the run is to be taken up again from its last checkpoint.
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
    paced: Paced | None = None
    roll_back: bool = False


Telemetry = (
    Listening
    | Chunk
    | Window
    | Event
    | Scalars
    | NodeState
    | Checkpoint
    | Weights
    | OrderDone
    | Progress
    | MapUpdate
    | Ended
)


class Sink(Protocol):
    """Where telemetry goes: a run's folder, a socket."""

    def __call__(self, telemetry: Telemetry, /) -> None: ...
