"""The messages between the channel server and its nodes, as MessagePack arrays with an integer tag.

    Hello -> Welcome [Restore] | Refused        Turn -> Reply        Save -> Saved        Bye

A field added here is a new protocol version: raise PROTOCOL_VERSION with it.
"""

import struct
from typing import Any

from msgspec import Struct

from protocol.messages.choreography import Choreography
from protocol.messages.kinds import Kind, LinkClass
from protocol.messages.spaces import Space

PROTOCOL_VERSION = 2
NUMBER = struct.Struct("<I")  # what the body of an acknowledged note begins with: agent_node.delivery


class Note(Struct, frozen=True, array_like=True, gc=False):
    """What a node tells others, as it leaves the sender.

    `to`: node indices, or NEIGHBOURS / TRAINER. `body` is encoded once by the sender and relayed untouched.
    `payload_bits`: what the air is charged; None means 8 bits per byte of the body.
    `link`: None means the link class the world gives to this source and destination.
    `attempt`: more than 1 for a history or weights told again, because no acknowledgement came.
    """

    to: tuple[int, ...]
    kind: Kind
    body: bytes
    payload_bits: int | None = None
    link: LinkClass | None = None
    attempt: int = 1


class ReceivedNote(Struct, frozen=True, array_like=True, gc=False):
    """A note as its receiver finds it: who said it, what for, and in which slot and turn it was said."""

    source: int
    kind: Kind
    slot: int
    turn: int
    body: bytes


class Hello(Struct, frozen=True, array_like=True, tag=1):
    """A process asks for the place `name` in a run. `fingerprint`: what decides the bits of its arithmetic."""

    protocol: int
    run_id: str
    name: str
    fingerprint: dict[str, str]


class NodeSpaces(Struct, frozen=True, array_like=True):
    """What one agent measures, by view, and does."""

    views: dict[str, Space]
    action: Space


class Welcome(Struct, frozen=True, array_like=True, tag=2):
    """The place is given: all that a node knows of its run.

    `views`: measurement space per view of the world; `facts`: static local knowledge; `names`: all node and party names
    by index, agents first, then the trainer, then the parties of the network (BS, cellular users). `everyone`: for the
    trainer alone, who reads their histories, all agents' spaces. `resend_after_slots`: of the signalling model.
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

    @property
    def name(self) -> str:
        return self.names[self.index]


class Refused(Struct, frozen=True, array_like=True, tag=3):
    """The place is not given; `reason` says why and what would help."""

    reason: str


class Turn(Struct, frozen=True, array_like=True, tag=4, gc=False):
    """Your turn. `spec` indexes the choreography's turns; CLOSING is the turn after the last slot.

    `phase` indexes PHASES. `measurement`: little-endian records of the view's space, [replicas].
    """

    slot: int
    turn: int
    spec: int
    phase: int
    episode: int
    measurement: bytes
    inbox: list[ReceivedNote]


class Reply(Struct, frozen=True, array_like=True, tag=5, gc=False):
    """A node's one answer to a turn. An empty action keeps the last one."""

    slot: int
    turn: int
    action: bytes
    outbox: list[Note]


class Report(Struct, frozen=True, array_like=True, tag=7):
    """Figures for people about a node's inner life (losses, updates): telemetry, no signalling, part of no trace."""

    slot: int
    scalars: dict[str, float]


class Bye(Struct, frozen=True, array_like=True, tag=6):
    """The end of a conversation; a node's non-empty `error` fails the run."""

    reason: str
    error: str = ""


class Save(Struct, frozen=True, array_like=True, tag=8):
    """Between two slots: put your state away, as it is before the first turn of `slot`."""

    slot: int


class Saved(Struct, frozen=True, array_like=True, tag=9):
    """A part of a node's state, in order; `more` parts follow or this is the last."""

    slot: int
    data: bytes
    more: bool = False


class Restore(Struct, frozen=True, array_like=True, tag=10):
    """After the Welcome: a part of the state to go on from, in order; `more` parts follow or this is the last."""

    data: bytes
    more: bool = False


Message = Hello | Welcome | Refused | Turn | Reply | Report | Bye | Save | Saved | Restore
