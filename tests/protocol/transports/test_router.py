"""The server's socket, and peers that do not speak its protocol."""

import os
import resource
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
import zmq

from protocol.transports.connections import ABOVE_THE_LIMIT, FIRST_FRAME_TIMEOUT_S, SilentConnections
from protocol.transports.dealer import Dealer, ReconnectingDealer
from protocol.transports.descriptors import shut_down
from protocol.transports.keys import Keys
from protocol.transports.liveness import ANSWER_TIMEOUT_S
from protocol.transports.router import Router


@pytest.mark.parametrize("sent", [b"\x01\x00\x05\x00junk", b"\x02\x00x\x04\x01one\x04\x00two"], ids=["one part", "two"])
def test_bytes_that_parse_as_an_old_zmtp_are_dropped(sent: bytes) -> None:
    """An anonymous greeting of ZMTP 1.0, then a frame, which does not carry the descriptor of its connection."""
    with zmq.Context() as context, Router(context, "tcp://127.0.0.1:*", timeout_s=0.3) as router:
        host, port = router.endpoint.removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port))) as plain:
            plain.sendall(sent)
            assert router.receive() is None
        with context.socket(zmq.DEALER) as node:
            node.setsockopt(zmq.LINGER, 0)
            node.connect(router.endpoint)
            node.send(b"Hello")
            frame = next(received for received in iter(router.receive, ()) if received is not None)
        assert frame[1] == b"Hello"


def test_a_wait_of_less_than_a_millisecond_ends_with_the_frame_that_comes() -> None:
    with zmq.Context() as context, Router(context, "tcp://127.0.0.1:*") as router:
        assert router.receive_within(0.0005) is None
        with context.socket(zmq.DEALER) as node:
            node.setsockopt(zmq.LINGER, 0)
            node.connect(router.endpoint)
            node.send(b"Hello")
            frame = next(received for received in iter(lambda: router.receive_within(5.0), ()) if received is not None)
        assert frame[1] == b"Hello"


def _polled(router: Router, within_s: float = 60.0) -> Iterator[None]:
    """Poll the router as its owners do, until the caller leaves."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        router.socket.poll(10)
        router.broken()
        yield
    raise AssertionError("it was never reached")


@pytest.mark.parametrize("encrypted", [False, True])
def test_silent_connections_above_the_limit_are_closed_and_counted_and_others_connect(
    encrypted: bool, tmp_path: Path
) -> None:
    keys = Keys.make(tmp_path) if encrypted else None
    with ExitStack() as stack:
        context = stack.enter_context(zmq.Context())
        router = Router(context, "tcp://127.0.0.1:*", keys=keys.server() if keys else None, max_connections=8)
        stack.enter_context(router)
        address = ("127.0.0.1", int(router.endpoint.rpartition(":")[2]))
        silent = [stack.enter_context(socket.create_connection(address)) for _ in range(30)]
        for connection in silent:
            connection.setblocking(False)
        for _ in _polled(router):
            if sum(map(_is_closed, silent)) >= 22:
                break
        assert Counter(reason for reason, _ in router.rejected()) == {ABOVE_THE_LIMIT: 22}
        node = stack.enter_context(Dealer(router.endpoint, keys=keys.client() if keys else None))
        node.send(b"Hello")
        for _ in _polled(router):
            if received := router.receive_within(0):
                break
        assert received is not None
        assert received[1] == b"Hello"
        for _ in _polled(router):
            if sum(map(_is_closed, silent)) >= 23:
                break


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other end has closed it; ZeroMQ's greeting is read away."""
    try:
        while data := connection.recv(1000):
            pass
    except BlockingIOError:
        return False
    except ConnectionResetError:
        return True
    return not data


def test_peers_above_the_limit_are_rejected() -> None:
    with ExitStack() as stack:
        context = stack.enter_context(zmq.Context())
        router = stack.enter_context(Router(context, "tcp://127.0.0.1:*", max_connections=3))
        for number in range(5):
            dealer = context.socket(zmq.DEALER)
            stack.callback(dealer.close, 0)
            dealer.setsockopt(zmq.RECONNECT_IVL, -1)
            dealer.connect(router.endpoint)
            dealer.send(b"%d" % number)
        frames: list[object] = []
        reasons: Counter[str] = Counter()
        for _ in _polled(router):
            frames += [frame for _, frame in router.pending()]
            reasons.update(reason for reason, _ in router.rejected())
            if len(frames) >= 3 and reasons == {ABOVE_THE_LIMIT: 2}:
                break


def test_a_connection_is_late_when_it_has_sent_nothing_for_too_long() -> None:
    silent = SilentConnections(100.0)
    silent.add(7)
    for second in range(int(FIRST_FRAME_TIMEOUT_S)):
        assert silent.late(101.0 + second) == []
    silent.add(8)
    assert silent.late(101.0 + FIRST_FRAME_TIMEOUT_S) == [7]
    silent.discard(7)
    assert silent.late(103.0 + FIRST_FRAME_TIMEOUT_S) == []


def test_only_a_connection_of_the_port_is_ended() -> None:
    with socket.create_server(("127.0.0.1", 0)) as ours, socket.create_server(("127.0.0.1", 0)) as theirs:
        port = ours.getsockname()[1]
        with socket.create_connection(theirs.getsockname()) as client, theirs.accept()[0] as other:
            for descriptor in (other.fileno(), client.fileno(), os.open("/dev/null", os.O_RDONLY), 10**6):
                shut_down(descriptor, port)
            client.sendall(b"x")
            assert other.recv(1) == b"x"
        with socket.create_connection(ours.getsockname()) as client, ours.accept()[0] as connection:
            shut_down(connection.fileno(), port)
            assert client.recv(1) == b""


ROOM = """
import resource, sys
from protocol.transports.descriptors import room_for
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]), int(sys.argv[2])))
print(room_for(10_000, others=500), resource.getrlimit(resource.RLIMIT_NOFILE)[0])
"""


@pytest.mark.parametrize(
    ("soft", "hard", "room", "raised"),
    [(256, 20_000, 10_000, 11_524), (15_000, 20_000, 10_000, 15_000), (256, 4096, 2572, 4096), (256, 1024, 256, 1024)],
)
def test_the_limit_on_open_files_is_raised_and_leaves_room_for_others(
    soft: int, hard: int, room: int, raised: int
) -> None:
    if hard > resource.getrlimit(resource.RLIMIT_NOFILE)[1]:
        pytest.skip("the hard limit of this machine is lower")
    command = [sys.executable, "-c", ROOM, str(soft), str(hard)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.split() == [str(room), str(raised)]


def test_every_end_of_a_connection_notices_a_network_that_no_longer_answers() -> None:
    with zmq.Context() as context, Router(context, "tcp://127.0.0.1:*") as router, Dealer(router.endpoint) as node:
        node.send(b"Hello")
        worker = ReconnectingDealer(context, router.endpoint, max_bytes=100)
        worker.socket.send(b"Heartbeat")
        frames: set[object] = set()
        for _ in _polled(router):
            frames |= {frame for _, frame in router.pending()}
            if frames == {b"Hello", b"Heartbeat"}:
                break
        ends = 0
        for end in _connections_at(int(router.endpoint.rpartition(":")[2])):
            ends += 1
            assert end.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) < ANSWER_TIMEOUT_S
            assert end.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1000 * ANSWER_TIMEOUT_S
        assert ends == 4
        worker.close()


def _connections_at(port: int) -> Iterator[socket.socket]:
    """Duplicates of this process's TCP sockets that are connected from or to a port."""
    for descriptor in map(int, os.listdir("/proc/self/fd")):
        with suppress(OSError), socket.fromfd(descriptor, socket.AF_INET, socket.SOCK_STREAM) as connection:
            if port in {name[1] for name in (connection.getpeername(), connection.getsockname())}:
                yield connection
