"""The wire book: what each connection carried in each direction, split into notes, envelopes and framing.

Framing is ZMTP 3.1 (https://rfc.zeromq.org/spec/37/): 64 bytes of greeting and a READY command per side, then 2 bytes
before each frame of up to 255 bytes and 9 before longer ones.
"""

from collections.abc import Sequence

from msgspec import Struct

_GREETING_BYTES = 64
_READY_BODY_BYTES = (1 + 5) + (1 + 11 + 4 + 6) + (1 + 8 + 4 + 0)  # READY, Socket-Type (DEALER or ROUTER), Identity ""
HANDSHAKE_BYTES = _GREETING_BYTES + 2 + _READY_BODY_BYTES


class Leg(Struct):
    """One direction of one connection."""

    frames: int = 0
    notes: int = 0
    note_bytes: int = 0
    emulation_bytes: int = 0
    framing_bytes: int = HANDSHAKE_BYTES

    def book(self, frame_bytes: int, notes: int, note_bytes: int) -> None:
        """One frame of `frame_bytes`, of which `note_bytes` in `notes` notes are notes' bodies."""
        self.frames += 1
        self.notes += notes
        self.note_bytes += note_bytes
        self.emulation_bytes += frame_bytes - note_bytes
        self.framing_bytes += 2 if frame_bytes <= 255 else 9

    @property
    def socket_bytes(self) -> int:
        """All bytes handed to TCP."""
        return self.note_bytes + self.emulation_bytes + self.framing_bytes


class Connection(Struct):
    """One connection's account. `undelivered_bytes`: handed to a connection that died before they were answered,
    at most that much of `down` never arrived; `undelivered_notes` are the notes among it."""

    peer: str
    up: Leg
    down: Leg
    undelivered_bytes: int = 0
    undelivered_notes: int = 0


class _Line:
    """An account that is open, and what was sent since the peer last spoke."""

    __slots__ = ("account", "unanswered_bytes", "unanswered_notes")

    def __init__(self) -> None:
        self.account = Connection("stranger", Leg(), Leg())
        self.unanswered_bytes = self.unanswered_notes = 0


class WireBook:
    """The accounts of a channel server's connections, by the transport's name of the peer.

    `earlier`: accounts of a run that is resumed, as they stood at its checkpoint.
    """

    def __init__(self, earlier: Sequence[Connection] = ()) -> None:
        self._earlier = earlier
        self._lines: dict[bytes, _Line] = {}

    @property
    def connections(self) -> list[Connection]:
        """All accounts, in the order in which they were opened."""
        return [*self._earlier, *(line.account for line in self._lines.values())]

    def up(self, peer: bytes, frame_bytes: int, notes: int, note_bytes: int) -> None:
        """A frame from a peer; its first one opens the account."""
        line = self._lines.get(peer)
        if line is None:
            line = self._lines[peer] = _Line()
        line.account.up.book(frame_bytes, notes, note_bytes)
        line.unanswered_bytes = line.unanswered_notes = 0

    def down(self, peer: bytes, frame_bytes: int, notes: int, note_bytes: int) -> None:
        """A frame handed to the transport for a peer."""
        line = self._lines[peer]
        line.account.down.book(frame_bytes, notes, note_bytes)
        line.unanswered_bytes += frame_bytes + (2 if frame_bytes <= 255 else 9)
        line.unanswered_notes += notes

    def name(self, peer: bytes, name: str) -> None:
        """Whose account it is."""
        self._lines[peer].account.peer = name

    def broke(self, peer: bytes) -> None:
        """The connection died: what was sent since its last frame may not have arrived."""
        if line := self._lines.get(peer):
            line.account.undelivered_bytes = line.unanswered_bytes
            line.account.undelivered_notes = line.unanswered_notes


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
