"""Between a transport's frames and the core's messages: decodes, encodes, books the wire, records frames."""

from collections.abc import Callable, Iterable, Iterator

from channel_server.core import ChannelServer, Send
from channel_server.seats import Peer
from protocol.accounting.wire_book import WireBook
from protocol.messages.codec import BadFrame, decode_for_server, encode, signalling
from protocol.messages.node import Hello, Message

Outgoing = Iterable[tuple[Peer, bytes]]


class Frames:
    """A core for a transport that sends and receives frames. `wire`: the wire book, None without sockets. `objection`:
    why a peer's key does not allow it to join under a name, "" if it does.

    Messages are encoded one by one as the transport takes them: the first node computes while the last is served.
    """

    def __init__(
        self, core: ChannelServer, wire: WireBook | None, objection: Callable[[Peer, str], str] = lambda *_: ""
    ) -> None:
        self._core = core
        self._wire = wire
        self._may_keep = core.frames_slots > 0
        self._objection = objection

    def arrived(self, peer: Peer, frame: bytes) -> Outgoing:
        """A frame from a peer; the frames to send."""
        try:
            message = decode_for_server(frame)
        except BadFrame as bad:
            if self._wire is not None:
                self._wire.up(peer, len(frame), 0, 0)
            return self.encoded(self._core.reject_frame(peer, str(bad)))
        if self._wire is not None:
            notes = (0, 0) if self._core.is_late(peer, message) else signalling(message)
            self._wire.up(peer, len(frame), *notes)
        if self._may_keep and self._core.keeps_frames:
            return self._recorded(peer, message, frame)
        sends = self._hello(peer, message) if type(message) is Hello else self._core.arrived(peer, message)
        return self.encoded(sends) if sends else ()

    def encoded(self, sends: list[Send]) -> Iterator[tuple[Peer, bytes]]:
        """The core's messages as frames."""
        records = self._may_keep and self._core.keeps_frames
        for peer, message in sends:
            frame = encode(message)
            if self._wire is not None:
                self._wire.down(peer, len(frame), *signalling(message))
            if records:
                self._core.record_frame("down", self._core.peer_name(peer), frame)
            yield peer, frame

    def _recorded(self, peer: Peer, message: Message, frame: bytes) -> Outgoing:
        """As `arrived`, and record the frame. A peer has a name after its Hello and before its Bye."""
        leaver = self._core.peer_name(peer)
        sends = self._hello(peer, message) if type(message) is Hello else self._core.arrived(peer, message)
        self._core.record_frame("up", self._core.peer_name(peer) if type(message) is Hello else leaver, frame)
        return self.encoded(sends)

    def _hello(self, peer: Peer, hello: Hello) -> list[Send]:
        """Pass a Hello to the core, unless the peer's key is bound to another node; then name its connection."""
        sends = self._core.hello(peer, hello, self._objection(peer, hello.name))
        if self._wire is not None:
            self._wire.name(peer, self._core.peer_name(peer))
        return sends
