"""Strangers on every port: idle connections by the hundred, foreign bytes, keyless and wrongly keyed peers."""

import time
from contextlib import suppress

import zmq

from protocol.transports.curve import lock_client
from protocol.transports.keys import ClientKeys, Keys
from tests.soak.campaign.draw import Draw
from tests.soak.campaign.scene import API, Scene
from tests.soak.campaign.sockets import Listening, connect, idle, listening_ports

_GREETING = b"\xff" + bytes(8) + b"\x7f"  # the first bytes of ZMTP
_FIRST = (
    *(b"", b"\x00", _GREETING, _GREETING + b"\x03\x00NULL" + bytes(48), _GREETING + b"\x03\x00CURVE" + bytes(47)),
    *(
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ",
        b"\x16\x03\x01\x02\x00\x01",
        b"\xff" * 64,
    ),
    *(b"PUT / HTTP/1.1\r\nContent-Length: 1000\r\n\r\n", b"A" * 5000, b"\r\n" * 100),
)


def idle_connections(scene: Scene, rng: Draw) -> str:
    """Many connections stand idle on one port; clients and workers must still be served."""
    port = _port(scene, rng)
    number, seconds = rng.choice((700, 1100, 3000)), rng.uniform(6, 10)
    first = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" if port.role == "REST" else rng.choice((b"", _GREETING))
    with idle(scene, port.port, number, first) as opened:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for path in ("/readyz", f"{API}/runs", f"{API}/nodes"):
                if port.role != "REST":  # there the number of connections is limited: the probe asks often enough
                    scene.request("GET", path)
            time.sleep(0.5)
    return f"{opened} of {number} idle connections at {port.role} for {seconds:.1f} s, each sent {len(first)} bytes"


def foreign_bytes(scene: Scene, rng: Draw) -> str:
    """Bytes of other protocols, and noise, on every port."""
    ports = listening_ports(scene)
    for port in ports:
        for _ in range(8):
            data = rng.choice((*_FIRST, rng.randbytes(rng.choice((1, 100, 10_000)))))
            with suppress(OSError), connect(scene, port.port) as connection:
                connection.settimeout(0.05)
                connection.sendall(data)
                with suppress(TimeoutError):
                    connection.recv(1000)
    return f"noise at {len(ports)} ports: {', '.join(sorted({port.role for port in ports}))}"


def foreign_peers(scene: Scene, rng: Draw) -> str:
    """ZeroMQ peers without keys, with wrong keys, and of other socket types, on every ZeroMQ port."""
    ports = [port for port in listening_ports(scene) if port.role != "REST"]
    count = 0
    with zmq.Context() as context:
        sockets = []
        for port in ports:
            for _ in range(rng.choice((1, 10, 50))):
                socket = context.socket(rng.choice((zmq.DEALER, zmq.PAIR, zmq.ROUTER, zmq.SUB, zmq.REQ, zmq.PUSH)))
                socket.setsockopt(zmq.LINGER, 0)
                socket.setsockopt(zmq.SNDTIMEO, 100)
                if keys := rng.choice((None, _wrong(scene), _wrong(scene))):
                    lock_client(socket, keys)
                socket.connect(f"tcp://127.0.0.1:{port.port}")
                count += 1
                with suppress(zmq.ZMQError):
                    socket.send(rng.choice((b"", b"let me in", rng.randbytes(1000))), zmq.NOBLOCK)
                sockets.append(socket)
        time.sleep(rng.uniform(1, 4))
        for socket in sockets:
            socket.close(0)
    scene.ledger.count("connections", count)
    return f"{count} peers at {len(ports)} ports"


def _wrong(scene: Scene) -> ClientKeys:
    """Keys of a client that nobody allowed."""
    public, secret = zmq.curve_keypair()
    server = Keys.read(scene.key_folders[0]).public("server") if scene.key_folders else zmq.curve_keypair()[0]
    return ClientKeys(secret, public, server)


def _port(scene: Scene, rng: Draw) -> Listening:
    by_role: dict[str, list[Listening]] = {}
    for port in listening_ports(scene):
        by_role.setdefault(port.role, []).append(port)
    return rng.choice(by_role[rng.variant(sorted(by_role))])
