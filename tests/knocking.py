"""RejectedConnections who try to come in, each once."""

from collections.abc import Sequence

import zmq

from protocol.transports.curve import lock_client
from protocol.transports.keys import ClientKeys, Keys


def stranger(keys: Keys) -> ClientKeys:
    """Knows the server, which does not know it."""
    public, secret = zmq.curve_keypair()
    return ClientKeys(secret, public, keys.public("server"))


def lost(keys: Keys) -> ClientKeys:
    """May come in, but takes another for the server."""
    own = keys.client()
    return ClientKeys(own.secret, own.public, zmq.curve_keypair()[0])


def knock(endpoint: str, tries: Sequence[ClientKeys | None]) -> None:
    """All of them at once, with a frame that they would like to be read; until each has been turned away."""
    with zmq.Context() as context:
        doors = [_at_the_door(context, endpoint, keys) for keys in tries]
        for socket, monitor in doors:
            assert monitor.poll(20_000), "a stranger was not turned away"
            socket.disable_monitor()
            monitor.close()
            socket.close()


def _at_the_door(
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
