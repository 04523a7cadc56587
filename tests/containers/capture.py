"""What TCP carried in a network namespace, by the sequence numbers of its segments: `python3 capture.py`.

Retransmissions do not count, and a segment that the capture misses does as long as a later one is seen. Prints
"listening", and when its input is closed a JSON list of connections: client, server, bytes up and down.
"""

import json
import socket
import struct
import sys
from select import select

_ETH_P_ALL = 3
_SO_RCVBUFFORCE = 33
_HEADERS = 256  # bytes of a packet that are looked at
_FIN_SYN_RST, _SYN, _ACK = 0x07, 0x02, 0x10

End = tuple[str, int]


class Stream:
    """One direction of a connection: how far its sequence numbers have come since the SYN."""

    def __init__(self, first: int) -> None:
        self.carried = 0
        self._next = (first + 1) % 2**32

    def segment(self, number: int, length: int) -> None:
        """`length` bytes from sequence number `number` on; numbers begin anew at 2^32."""
        news = (number + length - self._next) % 2**32
        if news < 2**31:
            self.carried += news
            self._next = (number + length) % 2**32


class Capture:
    """The connections whose first packet was seen."""

    def __init__(self) -> None:
        self._streams: dict[tuple[End, End], Stream] = {}
        self._opened: list[tuple[End, End]] = []  # client, server

    def packet(self, packet: bytes) -> None:
        """An IPv4 packet, its first bytes at least."""
        if packet[0] >> 4 != 4 or packet[9] != socket.IPPROTO_TCP:
            return
        at = 4 * (packet[0] & 15)
        source_port, to_port, number = struct.unpack_from("!HHI", packet, at)
        length = int.from_bytes(packet[2:4], "big") - at - 4 * (packet[at + 12] >> 4)
        flags = packet[at + 13]
        way = ((socket.inet_ntoa(packet[12:16]), source_port), (socket.inet_ntoa(packet[16:20]), to_port))
        if flags & _SYN:
            self._open(way, number, answers=bool(flags & _ACK))
        elif length and (stream := self._streams.get(way)):
            stream.segment(number, length)

    def told(self) -> list[tuple[End, End, int, int]]:
        """Client, server, bytes up, bytes down."""
        return [
            (client, server, self._carried(client, server), self._carried(server, client))
            for client, server in self._opened
        ]

    def _open(self, way: tuple[End, End], number: int, *, answers: bool) -> None:
        if not answers and way not in self._opened:
            self._opened.append(way)
        self._streams.setdefault(way, Stream(number))

    def _carried(self, source: End, to: End) -> int:
        stream = self._streams.get((source, to))
        return 0 if stream is None else stream.carried


def main() -> None:
    """Listen until there is no more input."""
    capture = Capture()
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ETH_P_ALL)) as packets:
        packets.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 2**27)
        print("listening", flush=True)
        while True:
            ready, _, _ = select([packets, sys.stdin], [], [])
            if packets in ready:
                capture.packet(packets.recv(_HEADERS))
            elif not sys.stdin.read(1):
                break
    print(json.dumps(capture.told()))


if __name__ == "__main__":
    main()
