"""A TCP relay between nodes and channel server that counts every byte, per connection and direction. Plain Python."""

import selectors
import socket
import threading
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self


@dataclass
class Counted:
    """One relayed connection. `head`: the first bytes a node sent, in which its name is found."""

    up: int = 0
    down: int = 0
    head: bytes = b""
    ends: dict[socket.socket, socket.socket] = field(default_factory=dict, repr=False)


class CountingRelay:
    """`endpoint(server)` starts relaying to that server and gives the endpoint that nodes shall use."""

    def __init__(self) -> None:
        self.connections: list[Counted] = []
        self._selector = selectors.DefaultSelector()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=500)
        self._server = ("", 0)
        self._stop_r, self._stop_w = socket.socketpair()
        self._thread = threading.Thread(target=self._relay)

    def endpoint(self, server: str) -> str:
        host, port = server.removeprefix("tcp://").split(":")
        self._server = (host, int(port))
        self._thread.start()
        return f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"

    def of(self, name: str) -> list[Counted]:
        """The connections of the node of this name."""
        wanted = bytes([0xA0 + len(name)]) + name.encode()  # a short MessagePack string
        return [c for c in self.connections if wanted in c.head]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop_w.send(b"x")
        if self._thread.ident is not None:
            self._thread.join()
        for each in (self._listener, self._stop_r, self._stop_w):
            each.close()

    def _relay(self) -> None:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._stop_r, selectors.EVENT_READ)
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._stop_r:
                    return self._close_all()
                if key.fileobj is self._listener:
                    self._accept()
                elif isinstance(key.fileobj, socket.socket) and key.data[0].ends:
                    self._pass_on(key.fileobj, key.data)

    def _accept(self) -> None:
        node, _ = self._listener.accept()
        server = socket.create_connection(self._server)
        counted = Counted(ends={node: server, server: node})
        self.connections.append(counted)
        self._selector.register(node, selectors.EVENT_READ, (counted, "up"))
        self._selector.register(server, selectors.EVENT_READ, (counted, "down"))

    def _pass_on(self, source: socket.socket, data: tuple[Counted, str]) -> None:
        counted, direction = data
        try:
            received = source.recv(1 << 16)
            counted.ends[source].sendall(received)
        except OSError:
            received = b""
        if not received:
            return self._hang_up(counted)
        if direction == "up":
            counted.up += len(received)
            counted.head = (counted.head + received)[:2000]
        else:
            counted.down += len(received)
        return None

    def _hang_up(self, counted: Counted) -> None:
        for end in counted.ends:
            self._selector.unregister(end)
            end.close()
        counted.ends = {}

    def _close_all(self) -> None:
        for counted in self.connections:
            if counted.ends:
                self._hang_up(counted)
        self._selector.close()
