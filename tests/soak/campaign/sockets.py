"""Plain TCP for faults: connections that are counted, listening ports, and a proxy that misbehaves."""

import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from random import Random
from typing import NamedTuple

import psutil

from tests.soak.campaign.scene import Scene

_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close sends RST


def connect(scene: Scene, port: int, *, timeout_s: float = 10.0) -> socket.socket:
    """A counted connection to a port of this machine. OSError."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=timeout_s)
    scene.ledger.count("connections")
    return connection


@contextmanager
def idle(scene: Scene, port: int, number: int, first: bytes = b"") -> Iterator[int]:
    """So many connections that send `first` and nothing more; how many were accepted."""
    with ExitStack() as stack:
        opened = 0
        for _ in range(number):
            with suppress(OSError):
                connection = stack.enter_context(connect(scene, port, timeout_s=1.0))
                opened += 1
                connection.sendall(first)
        yield opened


class Listening(NamedTuple):
    """A port on which a process listens; `role`: the process's name, or pool or REST."""

    port: int
    role: str


def listening_ports(scene: Scene) -> list[Listening]:
    """Every TCP port on which a process of the scene listens."""
    found = []
    for process in scene.processes():
        with suppress(psutil.Error):
            name = "service" if process.pid == scene.service.pid else process.name()
            ports = {c.laddr.port for c in process.net_connections("tcp") if c.status == psutil.CONN_LISTEN}
            found += [Listening(port, _role(scene, port, name)) for port in sorted(ports)]
    return found


def _role(scene: Scene, port: int, name: str) -> str:
    if name != "service":
        return "run process" if name.startswith("python") else name
    return "pool" if port == scene.port else "REST"


class Proxy:
    """Passes bytes on between clients that connect to `listen` and a server, and misbehaves on request.

    `mode`: "" passes everything; fragment, delay, stall, black hole. `break_all`: ends the present connections, with
    FIN in one direction, or with RST in both.
    """

    def __init__(self, listen: tuple[str, int], server: tuple[str, int], rng: Random) -> None:
        self.mode = ""
        self._server, self._rng = server, rng
        self._over = threading.Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._listener = socket.create_server(listen, backlog=200)
        self._listener.settimeout(0.2)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listener.getsockname()[1])

    def break_all(self, how: str) -> None:
        """`how`: half-close or cut."""
        for client, server in self._pairs:
            with suppress(OSError):
                if how == "half-close":
                    self._rng.choice((client, server)).shutdown(socket.SHUT_WR)
                else:
                    for end in (client, server):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                        end.shutdown(socket.SHUT_RD)  # wakes the thread that reads
                        end.close()
        self._pairs = []

    def close(self) -> None:
        """End all connections and listen no more."""
        self.mode = ""
        self._over.set()
        self.break_all("cut")
        for thread in self._threads:
            thread.join(timeout=10)
        self._listener.close()

    def _accept(self) -> None:
        while not self._over.is_set():
            with suppress(OSError):
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(self._server, timeout=5)
                except OSError:
                    client.close()
                    continue
                for end in (client, server):
                    end.settimeout(None)
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._pairs.append((client, server))
                self._threads.append(threading.Thread(target=self._pass_between, args=(client, server), daemon=True))
                self._threads[-1].start()

    def _pass_between(self, client: socket.socket, server: socket.socket) -> None:
        """Until both directions have ended."""
        with client, server:
            back = threading.Thread(target=self._pump, args=(server, client), daemon=True)
            back.start()
            self._pump(client, server)
            back.join()

    def _pump(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(1 << 16):
                self._pass_on(data, target)
        while self.mode == "black hole" and not self._over.is_set():  # nobody learns of an end, either
            time.sleep(0.1)
        with suppress(OSError):
            target.shutdown(socket.SHUT_WR)

    def _pass_on(self, data: bytes, target: socket.socket) -> None:
        while self.mode == "stall":
            time.sleep(0.02)
        match self.mode:
            case "black hole":
                return
            case "fragment":
                for at in range(0, len(data), 7):
                    target.sendall(data[at : at + 7])
            case "delay":
                time.sleep(self._rng.uniform(0.0, 0.02))
                target.sendall(data)
            case _:
                target.sendall(data)
