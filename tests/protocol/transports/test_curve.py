"""Encrypted sockets and clients that may not connect: what each side reports."""

import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from threading import Thread

import pytest
import zmq

from protocol.transports.curve import allow_list, lock_client, lock_server
from protocol.transports.dealer import ConnectionLost, Dealer, ReconnectingDealer
from protocol.transports.keys import ClientKeys, Keys
from protocol.transports.router import FOR_ANOTHER_SERVER, NOT_ON_THE_LIST, WITHOUT_A_KEY, Router
from tests.knocking import knock, unlisted_keys, wrong_server_keys

ANYWHERE = "tcp://127.0.0.1:*"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.make(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def router(keys: Keys) -> Iterator[Router]:
    with zmq.Context() as context, Router(context, ANYWHERE, keys=keys.server()) as router:
        yield router


def _received(router: Router) -> bytes | list[int]:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if (received := router.receive()) is not None:
            return received[1]
    raise AssertionError("no frame was received")


def _why_not(router: Router, keys: ClientKeys | None) -> str:
    """The reason that a rejected node reports."""
    with Dealer(router.endpoint, keys=keys) as dealer:
        dealer.send(b"Hello")
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                assert dealer.receive() is None
            except ConnectionLost as gone:
                return str(gone)
    raise AssertionError("the node waits for ever")


def test_frames_of_a_listed_client_are_received(router: Router, keys: Keys) -> None:
    with Dealer(router.endpoint, keys=keys.client()) as dealer:
        for frame in (b"Hello", b"", bytes(300)):
            dealer.send(frame)
            assert _received(router) == frame
    assert router.rejected() == []


@pytest.mark.parametrize(
    ("keys_of", "reason", "counted"),
    [
        (unlisted_keys, r"this node's key is not on .* list: .* \(airtoll keys allow DIR FILE\)", NOT_ON_THE_LIST),
        (
            wrong_server_keys,
            "handshake: check that it uses keys, and that server.key is its public",
            FOR_ANOTHER_SERVER,
        ),
        (lambda _: None, "handshake: if it requires keys, give this node some", WITHOUT_A_KEY),
    ],
)
def test_a_rejected_client_learns_why_and_is_counted(
    router: Router, keys: Keys, keys_of: Callable[[Keys], ClientKeys | None], reason: str, counted: str
) -> None:
    own = keys_of(keys)
    assert re.search(reason, _why_not(router, own))
    rejected = router.rejected()
    assert {why for why, _ in rejected} == {counted}
    first = own.public[:8].decode() if own and counted == NOT_ON_THE_LIST else ""
    assert {key for _, key in rejected} == {first}
    assert router.receive() is None, "something came through"


def test_a_node_with_keys_is_rejected_where_none_are_used(keys: Keys) -> None:
    with zmq.Context() as context, Router(context, ANYWHERE) as router:
        assert "check that it uses keys" in _why_not(router, keys.client())
        assert router.receive() is None, "something came through"
        assert router.rejected() == []
        assert router.unread_connections() > 0


def test_the_list_may_change_while_the_socket_is_open(keys: Keys) -> None:
    with (
        zmq.Context() as context,
        allow_list(context, keys.server()) as authenticator,
        context.socket(zmq.ROUTER) as server,
    ):
        lock_server(server, keys.server())
        server.bind(ANYWHERE)
        endpoint = server.getsockopt_string(zmq.LAST_ENDPOINT)
        with Dealer(endpoint, keys=keys.client()) as inside:
            inside.send(b"one")
            assert server.recv_multipart()[1] == b"one"
            authenticator.allowed = frozenset()
            assert "is not on the server's list" in _rejection(context, endpoint, keys.client())
            assert authenticator.rejected() == [keys.client().public[:8].decode()]
            inside.send(b"two")
            assert server.recv_multipart()[1] == b"two"


def _rejection(context: zmq.Context[zmq.Socket[bytes]], endpoint: str, keys: ClientKeys) -> str:
    client = ReconnectingDealer(context, endpoint, keys=keys, max_bytes=1000)
    deadline = time.monotonic() + 60
    while not client.rejection and time.monotonic() < deadline:
        client.socket.poll(10)
        client.monitor.poll()
    client.close()
    return client.rejection


def test_a_pair_socket_can_be_encrypted(keys: Keys) -> None:
    with zmq.Context() as context, allow_list(context, keys.server()), context.socket(zmq.PAIR) as launcher:
        lock_server(launcher, keys.server())
        port = launcher.bind_to_random_port("tcp://127.0.0.1")
        with zmq.Context() as elsewhere, elsewhere.socket(zmq.PAIR) as line:
            lock_client(line, keys.client())
            line.connect(f"tcp://127.0.0.1:{port}")
            line.send(b"telemetry")
            assert launcher.recv() == b"telemetry"


def test_without_an_authenticator_no_client_connects(keys: Keys) -> None:
    with zmq.Context() as context, context.socket(zmq.ROUTER) as server:
        lock_server(server, keys.server())
        monitor = server.get_monitor_socket(zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL)
        port = server.bind_to_random_port("tcp://127.0.0.1")
        with zmq.Context() as elsewhere, elsewhere.socket(zmq.DEALER) as node:
            node.setsockopt(zmq.LINGER, 0)
            lock_client(node, keys.client())
            node.connect(f"tcp://127.0.0.1:{port}")
            node.send(b"Hello")
            assert monitor.poll(20_000), "the handshake did not fail"
        assert not server.poll(0)
        server.disable_monitor()
        monitor.close()


def test_each_rejected_connection_is_counted_once(router: Router, keys: Keys) -> None:
    host, port = router.endpoint.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port))) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
    knock(router.endpoint, [unlisted_keys(keys), None, None])
    rejected = Counter[str]()
    deadline = time.monotonic() + 60
    while (rejected.total(), router.unread_connections()) != (3, 1) and time.monotonic() < deadline:
        assert router.receive() is None
        rejected.update(reason for reason, _ in router.rejected())
    assert rejected == {NOT_ON_THE_LIST: 1, WITHOUT_A_KEY: 2}
    assert router.unread_connections() == 1


def test_every_key_that_is_not_on_the_list_is_named_however_often_one_asks(router: Router, keys: Keys) -> None:
    unknown = [unlisted_keys(keys) for _ in range(30)]
    knocking = Thread(target=knock, args=(router.endpoint, unknown))
    knocking.start()
    named: list[tuple[str, str]] = []
    while knocking.is_alive():
        named += router.rejected()
    knocking.join()
    named += router.rejected()
    assert sorted(named) == sorted((NOT_ON_THE_LIST, own.public[:8].decode()) for own in unknown)
