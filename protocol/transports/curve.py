"""CURVE encryption and authentication for any ZeroMQ socket: keys for both ends, and the server's list of allowed keys.

A server, whatever its socket (ROUTER, PAIR):

    with allow_list(context, keys) as authenticator:  # one per context, before any of its sockets is bound
        lock_server(socket, keys)                     # before bind
        socket.bind(endpoint)
        ...
        authenticator.rejected()                      # now and then: the keys that were rejected
        authenticator.allowed = Keys.read(folder).server().allowed  # when the list changes; open connections stay

A client (DEALER, PAIR) calls `lock_client(socket, keys)` before connect; `protocol.transports.dealer.ConnectionMonitor`
reports why its connection is refused. Without keys none of these is called, at no cost.
"""

from collections import deque
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from threading import Thread

import zmq
from zmq.utils import z85

from protocol.transports.keys import KEY_PREFIX_CHARS, ClientKeys, ServerKeys

ENCRYPTION_BYTES = 33  # that CURVE adds to each frame; also to the largest that a socket may take
_ZAP = "inproc://zeromq.zap.01"
_DOMAIN = b"airtoll"


def lock_server(socket: zmq.Socket[bytes], keys: ServerKeys) -> None:
    """Call before bind. Only clients with a key on this context's `allow_list` can connect; without a list, none."""
    socket.setsockopt(zmq.CURVE_SERVER, 1)
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    socket.setsockopt(zmq.ZAP_DOMAIN, _DOMAIN)
    socket.setsockopt(zmq.ZAP_ENFORCE_DOMAIN, 1)  # or every client could connect while no authenticator runs


def lock_client(socket: zmq.Socket[bytes], keys: ClientKeys) -> None:
    """Call before connect. The socket connects only to the server that owns `keys.server`."""
    socket.setsockopt(zmq.CURVE_SECRETKEY, keys.secret)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, keys.public)
    socket.setsockopt(zmq.CURVE_SERVERKEY, keys.server)


class ZapAuthenticator:
    """Answers ZeroMQ's authentication requests (ZAP, https://rfc.zeromq.org/spec/27/) in a thread of its own.

    The frames that an encrypted socket receives carry their sender's key, Z85, as the property `User-Id`.
    `allowed`: public keys, Z85. It may be replaced at any time and takes effect at the next handshake.
    """

    def __init__(self, socket: zmq.Socket[bytes], allowed: Collection[bytes]) -> None:
        self.allowed = allowed
        self._socket = socket
        self._rejected: deque[str] = deque()

    def rejected(self) -> list[str]:
        """The first characters of each key that was rejected since the last call, once per attempt."""
        return [self._rejected.popleft() for _ in range(len(self._rejected))]

    def serve(self) -> None:
        """Answer requests until a message comes that is none."""
        while len(message := self._socket.recv_multipart()) > 1:
            version, request, _domain, _address, _identity, _mechanism, *credentials = message
            key = z85.encode(credentials[0]) if credentials else b""
            if key in self.allowed:
                answer = [b"200", b"OK", key]
            else:
                answer = [b"400", b"not on the list", b""]
                self._rejected.append(key[:KEY_PREFIX_CHARS].decode())
            self._socket.send_multipart([version, request, *answer, b""])


@contextmanager
def allow_list(context: zmq.Context[zmq.Socket[bytes]], keys: ServerKeys) -> Iterator[ZapAuthenticator]:
    """Authenticate clients against the list of `keys`, at every encrypted socket of this context, within the block.

    One per context. A handshake that waits for its answer delays no other: the requests come from ZeroMQ's own thread,
    and the thread that answers them sleeps in between.
    """
    with context.socket(zmq.REP) as socket:
        socket.setsockopt(zmq.LINGER, 0)
        socket.bind(_ZAP)
        authenticator = ZapAuthenticator(socket, keys.allowed)
        thread = Thread(target=authenticator.serve, name="authenticator", daemon=True)
        thread.start()
        try:
            yield authenticator
        finally:
            with context.socket(zmq.REQ) as stop:
                stop.connect(_ZAP)
                stop.send(b"")  # one frame is no request: the authenticator returns
            thread.join()
