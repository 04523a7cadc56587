"""What the channel server reports to the controller about a run. Telemetry is not signalling: it is in no book."""

from typing import Literal, Protocol

from msgspec import Struct

from protocol.accounting.toll import TollRow
from protocol.accounting.wire_book import Connection
from protocol.messages.drawing import Drawing

TELEMETRY_EVERY_S = 0.25
# What the controller sends the channel server; anything else is the reason why the run must fail.
INTERRUPT = b"interrupt"
PAUSE = b"pause"
CONTINUE = b"continue"
ORDER = b"order"  # followed by a frame with a protocol.messages.orders.Order

ChunkFile = Literal["trace.bin", "values.msgpack", "air_book.msgpack", "frames.msgpack"]
EndState = Literal["SUCCEEDED", "FAILED", "STOPPED"]  # of controller.run_folder.status


class Listening(Struct, frozen=True, tag=True):
    """The channel server accepts nodes at `endpoint`. `key`: its public key if connections are encrypted, Z85."""

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


class Occurrences(Struct, frozen=True, tag=True):
    """How often each value of a distribution occurred in the slots first..last (inclusive, all of one phase).

    `counts`: of the values 0, step, 2 step and so on.
    """

    phase: str
    first: int
    last: int
    name: str
    step: float
    counts: list[int]


class TollWindow(Struct, frozen=True, tag=True):
    """The toll of the notes that were sent in the slots first..last (inclusive, all of one phase).

    When outcomes are booked after a window's end, another TollWindow has further rows of it; their counts are added.
    """

    phase: str
    first: int
    last: int
    rows: list[TollRow]


class Event(Struct, frozen=True, tag=True):
    """Something that happened to the run at a slot and turn; the first four kinds are needed to replay it."""

    event: Literal[
        "lost",
        "rejoined",
        "interrupted",
        "uploaded",
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
    """The scalars that a node reports at a slot, by name: losses, updates, ..."""

    slot: int
    node: str
    scalars: dict[str, float]


class NodeState(Struct, frozen=True, tag=True):
    """A part of a node's state, for the Checkpoint that follows. `offset`: where it begins."""

    node: int
    offset: int
    data: bytes


class Checkpoint(Struct, frozen=True, tag=True):
    """The run's state before `slot`: that of the channel server is here, that of `nodes` has come as NodeState.

    All telemetry before this belongs to the slots before `slot`, all after it to the later ones.
    """

    slot: int
    nodes: list[int]
    channel_server: bytes


class Weights(Struct, frozen=True, tag=True):
    """The newest weights that reached a node, by its index; or weights that were uploaded for it, whether they arrived
    or not; or those that it has learnt by itself and reports. `sent_slot`: the slot in which they were sent or
    reported. `body`: of the note."""

    node: int
    sent_slot: int
    body: bytes
    uploaded: bool = False


class OrderDone(Struct, frozen=True, tag=True):
    """An order was carried out; or it was not, and `problem` is the reason."""

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
    """The drawing of the world's replica 0 after `slot`."""

    slot: int
    map: Drawing


class Spread(Struct, frozen=True):
    """A distribution of times, in ms."""

    mean: float
    p50: float
    p99: float
    max: float


class Paced(Struct, frozen=True):
    """How a paced run kept its time. By node: the `turns` that it was asked in, those it `missed`, and how many of its
    replies came `late`. `length_ms`: of slots, from start to start; `lateness_ms`: how late they started. `nice`: the
    channel server's priority, negative where the system let it go before others."""

    slot_ms: float
    turns: dict[str, int]
    missed: dict[str, int]
    late: dict[str, int]
    length_ms: Spread
    lateness_ms: Spread
    nice: int = 0


class Ended(Struct, frozen=True, tag=True):
    """The last telemetry of a run. `dropped`: rejected frames, by reason; `missed`: slots missed, by node.

    `wire`: one account per connection, empty in-process. `wall_s`: from the first slot to the last. `paced`: None in
    lockstep. `roll_back`: by its plan the run continues from its last checkpoint. `trace_digest`: of the whole
    trace, whatever is kept of it. `air_rows_left_out`: of the air book's file; the toll has them.
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
    trace_digest: str = ""
    air_rows_left_out: int = 0


Telemetry = (
    Listening
    | Chunk
    | Window
    | Occurrences
    | TollWindow
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
