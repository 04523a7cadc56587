"""The wire book: the bytes of each connection and direction, split into notes, emulation and framing.

Framing is ZMTP 3.1 (https://rfc.zeromq.org/spec/37/): 64 bytes of greeting and the mechanism's handshake per side, then
2 bytes before each frame of up to 255 bytes and 9 before longer ones. Under CURVE (https://rfc.zeromq.org/spec/26/) a
frame travels in a MESSAGE command, which is 33 bytes longer, and the length of the command decides the header's.
"""

from collections.abc import Sequence
from typing import NamedTuple

from msgspec import Struct

_GREETING_BYTES = 64
_METADATA_BYTES = (1 + 11 + 4 + 6) + (1 + 8 + 4 + 0)  # Socket-Type (DEALER or ROUTER), Identity ""
_BOX_BYTES = 16  # that encryption adds, whatever the content
_NONCE_BYTES = 8  # the part of a nonce that travels


def _with_header(frame_bytes: int) -> int:
    """The length of a frame with ZMTP's header."""
    return frame_bytes + (2 if frame_bytes <= 255 else 9)


class Framing(NamedTuple):
    """The bytes that ZMTP adds under one security mechanism: per connection and direction, and to each frame."""

    up_handshake: int
    down_handshake: int
    per_frame: int

    def of(self, frame_bytes: int) -> int:
        """The bytes that are added to one frame of this length."""
        return _with_header(frame_bytes + self.per_frame) - frame_bytes


_READY_BYTES = _with_header((1 + 5) + _METADATA_BYTES)
NULL = Framing(_GREETING_BYTES + _READY_BYTES, _GREETING_BYTES + _READY_BYTES, 0)

_HELLO_BYTES = _with_header((1 + 5) + 2 + 72 + 32 + _NONCE_BYTES + (_BOX_BYTES + 64))  # version, padding, client's key
_WELCOME_BYTES = _with_header((1 + 7) + 16 + (_BOX_BYTES + 32 + 96))  # the server's key and cookie
_INITIATE_BYTES = _with_header(  # cookie; encrypted: the client's long-term key, vouch, metadata
    (1 + 8) + 96 + _NONCE_BYTES + (_BOX_BYTES + 32 + (16 + _BOX_BYTES + 64) + _METADATA_BYTES)
)
_ENCRYPTED_READY_BYTES = _with_header((1 + 5) + _NONCE_BYTES + (_BOX_BYTES + _METADATA_BYTES))
CURVE = Framing(
    _GREETING_BYTES + _HELLO_BYTES + _INITIATE_BYTES,
    _GREETING_BYTES + _WELCOME_BYTES + _ENCRYPTED_READY_BYTES,
    (1 + 7) + _NONCE_BYTES + (_BOX_BYTES + 1),  # MESSAGE; encrypted with the frame: its flags
)


class Leg(Struct):
    """One direction of one connection."""

    frames: int = 0
    notes: int = 0
    note_bytes: int = 0
    emulation_bytes: int = 0
    framing_bytes: int = 0

    def book(self, frame_bytes: int, notes: int, note_bytes: int, framing_bytes: int) -> None:
        """Count a frame of `frame_bytes` with `notes` notes, whose bodies and sequence numbers are `note_bytes`."""
        self.frames += 1
        self.notes += notes
        self.note_bytes += note_bytes
        self.emulation_bytes += frame_bytes - note_bytes
        self.framing_bytes += framing_bytes

    @property
    def socket_bytes(self) -> int:
        """All bytes handed to TCP."""
        return self.note_bytes + self.emulation_bytes + self.framing_bytes


class Connection(Struct):
    """One connection's account. `undelivered_bytes`: sent to a peer whose connection died before it sent anything back;
    at most so many bytes of `down` never arrived. `undelivered_notes`: the notes among them."""

    peer: str
    up: Leg
    down: Leg
    undelivered_bytes: int = 0
    undelivered_notes: int = 0


class _OpenAccount:
    """A connection's account, and what was sent since the peer's last frame."""

    __slots__ = ("account", "unanswered_bytes", "unanswered_notes")

    def __init__(self, framing: Framing) -> None:
        up, down = Leg(framing_bytes=framing.up_handshake), Leg(framing_bytes=framing.down_handshake)
        self.account = Connection("unknown peer", up, down)
        self.unanswered_bytes = self.unanswered_notes = 0


class WireBook:
    """The accounts of a channel server's connections, by the transport's name of the peer.

    `earlier`: the accounts at the checkpoint from which a run is resumed. `framing`: that of all connections.
    """

    def __init__(self, earlier: Sequence[Connection] = (), framing: Framing = NULL) -> None:
        self._earlier = earlier
        self._framing = framing
        self._open: dict[bytes, _OpenAccount] = {}

    @property
    def connections(self) -> list[Connection]:
        """All accounts, in the order of opening."""
        return [*self._earlier, *(opened.account for opened in self._open.values())]

    def up(self, peer: bytes, frame_bytes: int, notes: int, note_bytes: int) -> None:
        """Book a frame received from a peer; its first one opens the account."""
        opened = self._open.get(peer)
        if opened is None:
            opened = self._open[peer] = _OpenAccount(self._framing)
        opened.account.up.book(frame_bytes, notes, note_bytes, self._framing.of(frame_bytes))
        opened.unanswered_bytes = opened.unanswered_notes = 0

    def down(self, peer: bytes, frame_bytes: int, notes: int, note_bytes: int) -> None:
        """Book a frame sent to a peer."""
        opened = self._open[peer]
        framing_bytes = self._framing.of(frame_bytes)
        opened.account.down.book(frame_bytes, notes, note_bytes, framing_bytes)
        opened.unanswered_bytes += frame_bytes + framing_bytes
        opened.unanswered_notes += notes

    def name(self, peer: bytes, name: str) -> None:
        """Set the account's name: that of the node."""
        self._open[peer].account.peer = name

    def broke(self, peer: bytes) -> None:
        """The connection died."""
        # Whatever was sent after the peer's last frame may have died in a buffer of the kernel or of ZeroMQ: how much
        # of it arrived is unknown, so all of it is booked as undelivered at most.
        if opened := self._open.get(peer):
            opened.account.undelivered_bytes = opened.unanswered_bytes
            opened.account.undelivered_notes = opened.unanswered_notes


class WireTotals(Struct):
    """Sums over connections, as in summary.json."""

    note_bytes: int = 0
    emulation_bytes: int = 0
    framing_bytes: int = 0
    socket_bytes: int = 0
    undelivered_bytes: int = 0


def totals(connections: list[Connection]) -> WireTotals:
    """Both directions of all connections summed."""
    legs = [leg for c in connections for leg in (c.up, c.down)]
    return WireTotals(
        note_bytes=sum(leg.note_bytes for leg in legs),
        emulation_bytes=sum(leg.emulation_bytes for leg in legs),
        framing_bytes=sum(leg.framing_bytes for leg in legs),
        socket_bytes=sum(leg.socket_bytes for leg in legs),
        undelivered_bytes=sum(c.undelivered_bytes for c in connections),
    )
