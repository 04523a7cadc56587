"""Connections that must be rejected, from a container of their own: `python3 - ENDPOINT TRIES...`.

The container runs `knocking.py` and this text.

Each endpoint is tried TRIES times without a key, as often with a key that is not on the list, and with one for another
server. Then a worker with the right key comes to the first endpoint and speaks another protocol version; what it is
answered is printed.
"""

# ruff: noqa: F821
# mypy: disable-error-code="name-defined"

import sys
from pathlib import Path

import msgspec
import zmq

from protocol.messages.node import PROTOCOL_VERSION
from protocol.messages.pool import Heartbeat, Refusal, decode_from_service
from protocol.transports.curve import lock_client
from protocol.transports.keys import Keys


def main() -> None:
    """All of it."""
    keys, (tries, *endpoints) = Keys.read(Path("/keys")), sys.argv[1:]
    for endpoint in endpoints:
        clients = [own for _ in range(int(tries)) for own in (None, unlisted_keys(keys), wrong_server_keys(keys))]
        knock(endpoint, clients)
    print(_refusal(endpoints[0], keys))


def _refusal(endpoint: str, keys: Keys) -> str:
    """What a worker of another version is answered."""
    with zmq.Context() as context, context.socket(zmq.DEALER) as socket:
        lock_client(socket, keys.client())
        socket.connect(endpoint)
        present = Heartbeat(PROTOCOL_VERSION + 1, "of tomorrow", "agent", "of tomorrow", "nowhere", 1, 1, {}, {})
        socket.send(msgspec.msgpack.encode(present))
        assert socket.poll(20_000), "a worker of another version was not answered"
        answer = decode_from_service(socket.recv())
        assert isinstance(answer, Refusal)
        return answer.reason


if __name__ == "__main__":
    main()
