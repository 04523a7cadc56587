"""Between a transport's frames and the core's messages: decodes, encodes, books the wire, keeps recorded frames."""

from channel_server.core import ChannelServer, Send
from channel_server.seats import Peer
from protocol.codec import BadFrame, decode_for_server, encode, signalling
from protocol.messages import Hello
from protocol.wire_book import WireBook

Outgoing = list[tuple[Peer, bytes]]


class Frames:
    """A core as seen by a transport. `wire`: the book of a transport with sockets, None in one process."""

    def __init__(self, core: ChannelServer, wire: WireBook | None) -> None:
        self._core = core
        self._wire = wire
        self._recorder = core.slots.recorder

    def arrived(self, peer: Peer, frame: bytes) -> Outgoing:
        """A frame from a peer; the frames to send."""
        try:
            message = decode_for_server(frame)
        except BadFrame as bad:
            if self._wire is not None:
                self._wire.up(peer, len(frame), 0, 0)
            return self.encoded(self._core.garbled(peer, str(bad)))
        if self._wire is not None:
            self._wire.up(peer, len(frame), *signalling(message))
        keeping, leaver = self._recorder.keeps_frames_of(self._core.slots.slot), self._core.peer_name(peer)
        sends = self._core.arrived(peer, message)
        if type(message) is Hello and self._wire is not None:
            self._wire.name(peer, self._core.peer_name(peer))
        if keeping:
            self._recorder.frame("up", self._core.peer_name(peer) if type(message) is Hello else leaver, frame)
        return self.encoded(sends)

    def encoded(self, sends: list[Send]) -> Outgoing:
        """What the core wants sent, as frames."""
        keeping = self._recorder.keeps_frames_of(self._core.slots.slot)
        outgoing: Outgoing = []
        for peer, message in sends:
            frame = encode(message)
            if self._wire is not None:
                self._wire.down(peer, len(frame), *signalling(message))
            if keeping:
                self._recorder.frame("down", self._core.peer_name(peer), frame)
            outgoing.append((peer, frame))
        return outgoing
