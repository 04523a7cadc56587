"""The messages between the channel server and its nodes, as MessagePack arrays with an integer tag.

    Hello -> Welcome [Restore] | Refused        Turn -> Reply        Save -> Saved        Bye

Adding a field here makes a new protocol version: raise PROTOCOL_VERSION with it.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct

from protocol.messages.choreography import Choreography
from protocol.messages.kinds import Kind, LinkClass
from protocol.messages.spaces import Space
from protocol.messages.text import NAME_PATTERN, Fingerprint, Name, make_printable

PROTOCOL_VERSION = 5
MAX_NOTES = 1 << 16  # of a reply
MAX_SCALARS = 256  # of a report
MAX_UNREAD = 64  # entries of a report
MAX_REASON_CHARS = 200
MAX_SCALAR_NAME_CHARS = 80
SEQUENCE_BYTES = 4  # of a sequence number on the air, whatever MessagePack needs for it on a wire
_WHOLE = (Kind.WEIGHTS, Kind.ACK)  # one body for all replicas; bodies of other kinds stack a part for each

ScalarName = Annotated[str, Meta(min_length=1, max_length=MAX_SCALAR_NAME_CHARS, pattern=NAME_PATTERN)]
SequenceNumber = Annotated[int, Meta(ge=0, lt=1 << 8 * SEQUENCE_BYTES)]


class Note(Struct, frozen=True, array_like=True, gc=False):
    """A signalling message as it leaves its sender.

    `to`: node indices, or NEIGHBOURS / TRAINER. `body` is encoded once by the sender and relayed untouched.
    `payload_bits`: the bits of the body, of one replica; None means 8 per byte of a whole kind (weights, acks), and of
    any other kind an equal share for each replica that the body stacks.
    `link`: None means the link class that the world gives to this source and destination.
    `attempt`: more than 1 for a history or weights that are resent because no acknowledgement came.
    `sequence`: the number of a note that its receiver acknowledges, or, of an ack, the number that it acknowledges;
    None for all other notes. See agent_node.delivery.
    """

    to: tuple[int, ...]
    kind: Kind
    body: bytes
    payload_bits: int | None = None
    link: LinkClass | None = None
    attempt: Annotated[int, Meta(ge=1, lt=1 << 31)] = 1
    sequence: SequenceNumber | None = None

    @property
    def size_bytes(self) -> int:
        """The note's bytes in both books: its body and its sequence number."""
        return len(self.body) if self.sequence is None else len(self.body) + SEQUENCE_BYTES

    def charged_bits(self, replicas: int) -> int:
        """The bits that the air is charged for one attempt: those of one of so many replicas, rounded up."""
        sequence_bits = 0 if self.sequence is None else 8 * SEQUENCE_BYTES
        if self.payload_bits is not None:
            return self.payload_bits + sequence_bits
        stacked = 1 if self.kind in _WHOLE else replicas
        return -(-8 * len(self.body) // stacked) + sequence_bits


class ReceivedNote(Struct, frozen=True, array_like=True, gc=False):
    """A note as its receiver reads it. `slot`, `turn`: when `source` sent it."""

    source: int
    kind: Kind
    slot: int
    turn: int
    body: bytes
    sequence: SequenceNumber | None = None

    @property
    def size_bytes(self) -> int:
        """The note's bytes in both books: its body and its sequence number."""
        return len(self.body) if self.sequence is None else len(self.body) + SEQUENCE_BYTES


class Hello(Struct, frozen=True, array_like=True, tag=1):
    """A process asks for the seat `name` in a run. `fingerprint`: what decides the bits of its arithmetic."""

    protocol: int
    run_id: Name
    name: Name
    fingerprint: Fingerprint


class NodeSpaces(Struct, frozen=True, array_like=True):
    """One agent's measurement space per view, and its action space."""

    views: dict[str, Space]
    action: Space


class Welcome(Struct, frozen=True, array_like=True, tag=2):
    """The seat is the node's, with all that it knows of its run.

    `names`: all names by index: the agents, the trainer, the infrastructure (BS, cellular users). `views`: the
    measurement space per view of the world. `static_info`: static local knowledge. `everyone`: all agents' spaces, for
    the trainer alone, which reads their histories. `resend_after_slots`: of the signalling model.
    `phases`: the index in PHASES and the number of slots of each, in order. `start`: bodies of weights notes that the
    node starts from, its own or for the trainer those of every agent; empty in a run that starts from none.
    """

    run_id: str
    index: int
    names: list[str]
    agents: int
    scheme: str
    params: dict[str, Any]
    seed: int
    replicas: int
    choreography: Choreography
    views: dict[str, Space]
    action: Space
    static_info: dict[str, Any]
    everyone: list[NodeSpaces] = []
    resend_after_slots: int = 0
    phases: list[tuple[int, int]] = []
    start: list[bytes] = []

    @property
    def name(self) -> str:
        return self.names[self.index]


class Refused(Struct, frozen=True, array_like=True, tag=3):
    """The process does not get the seat; `reason` has the cause and a suggested fix."""

    reason: str

    def __post_init__(self) -> None:
        make_printable(self, "reason")


class Turn(Struct, frozen=True, array_like=True, tag=4, gc=False):
    """The node's turn. `spec` indexes the choreography's turns; CLOSING is the turn after the last slot.

    `phase` indexes PHASES. `ended` [replicas] uint8: how episodes ended since the node's last turn (0, TERMINATED,
    TRUNCATED), empty if none did. `measurement`: little-endian records of the view's space, [replicas].
    """

    slot: int
    turn: int
    spec: int
    phase: int
    ended: bytes
    measurement: bytes
    inbox: list[ReceivedNote]


class Unread(Struct, frozen=True, array_like=True):
    """`number` notes of a kind from `source` that their receiver could not read; `reason`: of the first."""

    source: int
    kind: Kind
    number: Annotated[int, Meta(ge=1, le=MAX_NOTES)]
    reason: Annotated[str, Meta(max_length=MAX_REASON_CHARS)]


class Report(Struct, frozen=True, array_like=True):
    """What a node reports to people with its reply. It is telemetry, not signalling: it is in no trace and no book.

    `scalars`: losses, updates, ... by name. `unread`: the notes of this turn's inbox that the node could not read.
    `weights`: those that the node has learnt by itself, as the body of a weights note; once per phase, else empty.
    """

    scalars: Annotated[dict[ScalarName, float], Meta(max_length=MAX_SCALARS)] = {}
    unread: Annotated[list[Unread], Meta(max_length=MAX_UNREAD)] = []
    weights: bytes = b""


class Reply(Struct, frozen=True, array_like=True, tag=5, gc=False):
    """A node's one reply to a turn. An empty action keeps the last one. `report`: None if there is none."""

    slot: int
    turn: int
    action: bytes
    outbox: Annotated[list[Note], Meta(max_length=MAX_NOTES)]
    report: Report | None = None


class Bye(Struct, frozen=True, array_like=True, tag=6):
    """The end of a conversation; a node's non-empty `error` fails the run."""

    reason: str
    error: str = ""

    def __post_init__(self) -> None:
        make_printable(self, "reason", "error")


class Save(Struct, frozen=True, array_like=True, tag=8):
    """Between two slots: the node sends its state as it is before the first turn of `slot`."""

    slot: int


class Saved(Struct, frozen=True, array_like=True, tag=9):
    """A part of a node's state, in order. `more`: further parts follow."""

    slot: int
    data: bytes
    more: bool = False


class Restore(Struct, frozen=True, array_like=True, tag=10):
    """After the Welcome: a part of the state that the node continues from, in order. `more`: further parts follow."""

    data: bytes
    more: bool = False


Message = Hello | Welcome | Refused | Turn | Reply | Bye | Save | Saved | Restore
