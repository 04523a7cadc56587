"""Clients that may not connect, each of which tries once."""

from collections.abc import Sequence

import zmq

from protocol.transports.curve import lock_client
from protocol.transports.keys import ClientKeys, Keys


def unlisted_keys(keys: Keys) -> ClientKeys:
    """Of a client that has the server's key and is not on its list."""
    public, secret = zmq.curve_keypair()
    return ClientKeys(secret, public, keys.public("server"))


def wrong_server_keys(keys: Keys) -> ClientKeys:
    """Of a client that is on the list and has another server's key."""
    own = keys.client()
    return ClientKeys(own.secret, own.public, zmq.curve_keypair()[0])


def knock(endpoint: str, tries: Sequence[ClientKeys | None]) -> None:
    """Connect with all of these keys at once and send a frame each; return once all connections are rejected."""
    with zmq.Context() as context:
        clients = [_client(context, endpoint, keys) for keys in tries]
        for socket, monitor in clients:
            assert monitor.poll(60_000), "a connection was not rejected"
            socket.disable_monitor()
            monitor.close()
            socket.close()


def _client(
    context: zmq.Context[zmq.Socket[bytes]], endpoint: str, keys: ClientKeys | None
) -> tuple[zmq.Socket[bytes], zmq.Socket[bytes]]:
    socket = context.socket(zmq.DEALER)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.RECONNECT_IVL, -1)
    if keys is not None:
        lock_client(socket, keys)
    monitor = socket.get_monitor_socket(zmq.EVENT_DISCONNECTED)
    socket.connect(endpoint)
    socket.send(b"let me in")
    return socket, monitor
