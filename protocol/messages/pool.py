"""The messages by which workers of a pool are leased to runs, as MessagePack arrays with an integer tag.

    worker       Heartbeat ->                   Attach ->                       Exited, Alive ->
    service                  <- Lease | Refusal
    run process                                           <- StateChunk*, StartChannel | StartNode | Kill | Release |
                                                             Refusal, Alive

A worker has one connection to the service, and one per lease to the run process. A field added here is a new protocol
version: raise PROTOCOL_VERSION with it.
"""

from typing import Annotated, Literal, TypeVar

import msgspec
from msgspec import Meta, Struct

from protocol.messages.codec import BadFrame
from protocol.messages.node import PROTOCOL_VERSION
from protocol.messages.plan import RunPlan
from protocol.messages.text import Fingerprint, Name, make_printable

Role = Literal["agent", "channel"]
ROLES: tuple[Role, ...] = ("agent", "channel")
MAX_POOL_FRAME_BYTES = 2**20  # to and from the service, and from a worker to a run process
HEARTBEAT_INTERVAL_S = 1.0

_Port = Annotated[int, Meta(ge=1, le=65535)]
_Key = Annotated[str, Meta(max_length=40)]


class Assignment(Struct, frozen=True, array_like=True):
    """What a worker runs under one of its leases. `node`: "" until the run process starts one. `attached`: whether the
    worker has reached the run process."""

    run_id: Name
    node: Name = ""
    attached: bool = False


class Heartbeat(Struct, frozen=True, array_like=True, tag=1):
    """A worker's whole state, sent every second and when it changes. `capacity`: processes at a time."""

    protocol: int
    worker: Name
    role: Role
    name: Name
    host: Name
    pid: int
    capacity: Annotated[int, Meta(ge=1, le=1000)]
    fingerprint: Fingerprint
    leases: Annotated[dict[Name, Assignment], Meta(max_length=1000)]


class Lease(Struct, frozen=True, array_like=True, tag=2):
    """A unit of the worker's capacity is leased to a run, whose run process listens at `port` of the service's host."""

    lease: Name
    run_id: Name
    port: _Port


class Attach(Struct, frozen=True, array_like=True, tag=3):
    """A worker connects to a run process under one of its leases.

    When it connects again, after its connection broke: `started` is how many processes it has started under the lease,
    and `exitcode` that of the last one if it has ended. `started` is None when it connects for the first time.
    """

    protocol: int
    lease: Name
    role: Role
    name: Name
    host: Name
    fingerprint: Fingerprint
    started: Annotated[int, Meta(ge=0)] | None = None
    exitcode: int | None = None


class Exited(Struct, frozen=True, array_like=True, tag=4):
    """The process that was started has ended; `exitcode` is negative for a signal."""

    exitcode: int


class Alive(Struct, frozen=True, array_like=True, tag=5):
    """A sign of life; the run process answers with another."""


class StateChunk(Struct, frozen=True, array_like=True, tag=6):
    """A part of the state that the run continues from, sent in order before StartChannel."""

    data: bytes
    more: bool


class Line(Struct, frozen=True, array_like=True):
    """Where a channel server sends telemetry: `port` of the run process's host, whose public key is `server`. The
    channel server shows the key pair `public` and `secret`, which is of this line alone."""

    port: _Port
    server: _Key
    public: _Key
    secret: _Key


class StartChannel(Struct, frozen=True, array_like=True, tag=7):
    """Start the channel server, which sends telemetry to `line`. A worker that has keys creates the server's for this
    run, and allows the nodes whose public keys are in `allowed`, each with the node that it is bound to, "" for any."""

    plan: RunPlan
    line: Line
    allowed: Annotated[dict[_Key, Name], Meta(max_length=10_000)] = {}


class StartNode(Struct, frozen=True, array_like=True, tag=8):
    """Start the node of this name. `key`: the channel server's public key, if it is encrypted."""

    endpoint: Name
    run_id: Name
    name: Name
    key: _Key = ""


class Kill(Struct, frozen=True, array_like=True, tag=9):
    """Kill the process that was started."""


class Release(Struct, frozen=True, array_like=True, tag=10):
    """The lease is over."""


class Refusal(Struct, frozen=True, array_like=True, tag=11):
    """The worker is refused; `reason` gives the cause and a fix."""

    reason: str

    def __post_init__(self) -> None:
        make_printable(self, "reason")


ToService = Heartbeat
FromService = Lease | Refusal
ToRunProcess = Attach | Exited | Alive
FromRunProcess = StateChunk | StartChannel | StartNode | Kill | Release | Refusal | Alive

encode = msgspec.msgpack.Encoder().encode
_to_service: msgspec.msgpack.Decoder[ToService] = msgspec.msgpack.Decoder(Heartbeat)
_from_service: msgspec.msgpack.Decoder[FromService] = msgspec.msgpack.Decoder(FromService)
_to_run_process: msgspec.msgpack.Decoder[ToRunProcess] = msgspec.msgpack.Decoder(ToRunProcess)
_from_run_process: msgspec.msgpack.Decoder[FromRunProcess] = msgspec.msgpack.Decoder(FromRunProcess)
_Message = TypeVar("_Message")
_anything = msgspec.msgpack.Decoder()


class ForeignVersion(BadFrame):
    """The first message of another version of this protocol; the text is the reason to refuse it."""


def decode_for_service(frame: bytes) -> ToService:
    """Heartbeat. BadFrame for anything else, ForeignVersion for that of another version."""
    return _checked(_to_service, frame)


def decode_from_service(frame: bytes) -> FromService:
    """Lease or Refusal. BadFrame for anything else."""
    return _checked(_from_service, frame)


def decode_for_run_process(frame: bytes) -> ToRunProcess:
    """Attach, Exited or Alive. BadFrame for anything else, ForeignVersion for the Attach of another version."""
    return _checked(_to_run_process, frame)


def decode_from_run_process(frame: bytes) -> FromRunProcess:
    """A run process's message. BadFrame for anything else."""
    return _checked(_from_run_process, frame)


def _checked(decoder: msgspec.msgpack.Decoder[_Message], frame: bytes) -> _Message:
    try:
        message = decoder.decode(frame)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        _check_version(frame)
        raise BadFrame(f"a frame that cannot be read: {error}") from error
    if isinstance(message, Heartbeat | Attach) and message.protocol != PROTOCOL_VERSION:
        _check_version(frame)
    return message


def _check_version(frame: bytes) -> None:
    """ForeignVersion for another version, which may have other fields: only its number is read."""
    try:
        fields = _anything.decode(frame)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        return
    match fields:
        case [1 | 3, int(version), *_] if version != PROTOCOL_VERSION:
            fix = "install the same airtoll for the worker and the controller"
            raise ForeignVersion(f"protocol version {version} is not supported, only {PROTOCOL_VERSION}: {fix}")
