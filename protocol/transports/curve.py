"""CURVE on any ZeroMQ socket: locks for both ends, and the list of who may come in.

A server's owner, whatever its socket (ROUTER, PAIR):

    with allow_list(context, keys) as authenticator:      # one per context, before any of its sockets is bound
        lock_server(socket, keys)                   # before bind
        socket.bind(endpoint)
        ...
        authenticator.refused()                           # now and then: the keys that were turned away
        authenticator.allowed = Keys.read(folder).server().allowed  # when the list has changed; who is in stays in

A client (DEALER, PAIR): `lock_client(socket, keys)` before connect; `Standing` tells from the socket's monitor why
nothing will come any more. Where `keys` is None, none of these is called and nothing costs anything.
"""

from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from threading import Thread

import zmq
from zmq.utils import z85
from zmq.utils.monitor import recv_monitor_message

from protocol.transports.keys import ClientKeys, ServerKeys

ENCRYPTION_BYTES = 33  # that CURVE adds to each frame; also to the largest that a socket may take
_ZAP = "inproc://zeromq.zap.01"
_DOMAIN = b"airtoll"
_TOLD_FIRST = 8  # characters of a refused key
_HANDSHAKES = (
    zmq.EVENT_HANDSHAKE_SUCCEEDED
    | zmq.EVENT_HANDSHAKE_FAILED_AUTH
    | zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL
    | zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL
)


def lock_server(socket: zmq.Socket[bytes], keys: ServerKeys) -> None:
    """Before bind. Only clients with keys come in, and only those whom this context's `allow_list` lets: without one,
    none."""
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    socket.setsockopt(zmq.ZAP_DOMAIN, _DOMAIN)
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # or everybody would be let in while nobody reads the list


def lock_client(socket: zmq.Socket[bytes], keys: ClientKeys) -> None:
    """Before connect. The socket talks to the owner of `keys.server`, and to nobody else."""
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
    socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server)


class ZapAuthenticator:
    """Answers ZeroMQ's questions who may come in (ZAP, https://rfc.zeromq.org/spec/27/), in a thread of its own.

    `allowed`: public keys, Z85; may be replaced at any time, and counts from the next handshake on.
    """

    def __init__(self, socket: zmq.Socket[bytes], allowed: Collection[bytes]) -> None:
        self.allowed = allowed
        self._socket = socket
        self._refused: deque[str] = deque()

    def refused(self) -> list[str]:
        """The first characters of the keys that were turned away since the last call, once per try."""
        return [self._refused.popleft() for _ in range(len(self._refused))]

    def answer(self) -> None:
        """Until a message comes that is no question."""
        while len(question := self._socket.recv_multipart()) > 1:
            version, request, _domain, _address, _identity, _mechanism, *credentials = question
            code, text = (b"200", b"OK") if self._knows(credentials) else (b"400", b"not on the list")
            self._socket.send_multipart([version, request, code, text, b"", b""])

    def _knows(self, credentials: list[bytes]) -> bool:
        key = z85.encode(credentials[0]) if credentials else b""
        if key in self.allowed:
            return True
        self._refused.append(key[:_TOLD_FIRST].decode())
        return False


@contextmanager
def allow_list(context: zmq.Context[zmq.Socket[bytes]], keys: ServerKeys) -> Iterator[ZapAuthenticator]:
    """Let in who is on the list of `keys`, at every locked socket of this context, until the end of the block.

    One per context. A handshake that waits for its answer holds up nobody else: the questions come from ZeroMQ's own
    thread, and the thread that answers sleeps in between.
    """
    with context.socket(zmq.REP) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.bind(_ZAP)
        authenticator = ZapAuthenticator(socket, keys.allowed)
        thread = Thread(target=authenticator.answer, name="authenticator", daemon=True)
        thread.start()
        try:
            yield authenticator
        finally:
            _dismiss(context)
            thread.join()


def _dismiss(context: zmq.Context[zmq.Socket[bytes]]) -> None:
    """One frame is no question."""
    with context.socket(zmq.REQ) as socket:
        socket.connect(_ZAP)
        socket.send(b"")


class ConnectionMonitor:
    """Whether a client's connection stands, from its socket's monitor. Made before the socket connects.

    `server`: what it is connected to, in words.
    """

    def __init__(self, socket: zmq.Socket[bytes], keys: ClientKeys | None, server: str) -> None:
        self._socket = socket
        self._locked = keys is not None
        self._server = server
        self._met = self._refused = False
        self._monitor = socket.get_monitor_socket(_HANDSHAKES | zmq.EVENT_DISCONNECTED)

    def broken(self) -> str:
        """Why nothing will come any more; empty as long as something may."""
        while self._monitor.poll(0):
            event = recv_monitor_message(self._monitor)["event"]
            self._met |= event == zmq.EVENT_HANDSHAKE_SUCCEEDED
            self._refused |= event == zmq.EVENT_HANDSHAKE_FAILED_AUTH
            if event == zmq.EVENT_DISCONNECTED:
                return self._why()
        return ""

    def close(self) -> None:
        """Before the socket is closed."""
        self._socket.disable_monitor()
        self._monitor.close()

    def _why(self) -> str:
        if self._refused:
            return f"this node's key is not on the list of {self._server}: add it there (airtoll keys allow DIR FILE)"
        if self._met:
            return f"{self._server} is gone"
        if self._locked:
            cure = "does it use keys, and is server.key the public key of this one?"
        else:
            cure = "does it want keys? then give this node some (airtoll keys make DIR)"
        return f"{self._server} hung up in the handshake: {cure}"
