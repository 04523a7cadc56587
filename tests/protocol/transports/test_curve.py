"""Locked sockets against those who may not come in, and what each side then says."""

import re
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest
import zmq

from protocol.transports.curve import ConnectionMonitor, allow_list, lock_client, lock_server
from protocol.transports.dealer import ChannelGone, Dealer
from protocol.transports.keys import ClientKeys, Keys
from protocol.transports.router import FOR_ANOTHER_SERVER, NOT_ON_THE_LIST, WITHOUT_A_KEY, Router
from tests.knocking import knock, lost, stranger

ANYWHERE = "tcp://127.0.0.1:*"


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys.make(tmp_path_factory.mktemp("keys"))


@pytest.fixture
def router(keys: Keys) -> Iterator[Router]:
    with zmq.Context() as context, Router(context, ANYWHERE, keys=keys.server()) as router:
        yield router


def _heard(router: Router) -> bytes | list[int]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if (received := router.receive()) is not None:
            return received[1]
    raise AssertionError("nothing was heard")


def _why_not(router: Router, keys: ClientKeys | None) -> str:
    """What a node says that is not let in."""
    with Dealer(router.endpoint, keys=keys) as dealer:
        dealer.send(b"Hello")
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                assert dealer.receive() is None
            except ChannelGone as gone:
                return str(gone)
    raise AssertionError("it waits for ever")


def test_who_is_on_the_list_is_heard_and_answered(router: Router, keys: Keys) -> None:
    with Dealer(router.endpoint, keys=keys.client()) as dealer:
        for frame in (b"Hello", b"", bytes(300)):
            dealer.send(frame)
            assert _heard(router) == frame
    assert router.rejected() == []


@pytest.mark.parametrize(
    ("who", "told", "counted"),
    [
        (stranger, r"this node's key is not on the list .* \(airtoll keys allow DIR FILE\)", NOT_ON_THE_LIST),
        (lost, "hung up in the handshake: does it use keys, and is server.key the public", FOR_ANOTHER_SERVER),
        (lambda _: None, r"handshake: does it want keys\? then give this node some", WITHOUT_A_KEY),
    ],
)
def test_who_may_not_come_in_is_told_why_and_counted(
    router: Router, keys: Keys, who: Callable[[Keys], ClientKeys | None], told: str, counted: str
) -> None:
    own = who(keys)
    assert re.search(told, _why_not(router, own))
    away = router.rejected()
    assert {reason for reason, _ in away} == {counted}
    first = own.public[:8].decode() if own and counted == NOT_ON_THE_LIST else ""
    assert {key for _, key in away} == {first}
    assert router.receive() is None, "something came through"


def test_a_node_with_keys_is_not_heard_where_none_are_used(keys: Keys) -> None:
    with zmq.Context() as context, Router(context, ANYWHERE) as router:
        assert "does it use keys" in _why_not(router, keys.client())
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
            with context.socket(zmq.DEALER) as late:
                assert "is not on the list of the pool" in _standing(late, endpoint, keys.client())
            assert authenticator.refused() == [keys.client().public[:8].decode()]
            inside.send(b"two")
            assert server.recv_multipart()[1] == b"two"


def _standing(client: zmq.Socket[bytes], endpoint: str, keys: ClientKeys) -> str:
    lock_client(client, keys)
    client.setsockopt(zmq.LINGER, 0)
    status = ConnectionMonitor(client, keys, "the pool")
    client.connect(endpoint)
    deadline = time.monotonic() + 20
    while not (reason := status.broken()) and time.monotonic() < deadline:
        client.poll(10)
    status.close()
    return reason


def test_a_pair_can_be_locked_too(keys: Keys) -> None:
    with zmq.Context() as context, allow_list(context, keys.server()), context.socket(zmq.PAIR) as launcher:
        lock_server(launcher, keys.server())
        port = launcher.bind_to_random_port("tcp://127.0.0.1")
        with zmq.Context() as elsewhere, elsewhere.socket(zmq.PAIR) as line:
            lock_client(line, keys.client())
            line.connect(f"tcp://127.0.0.1:{port}")
            line.send(b"telemetry")
            assert launcher.recv() == b"telemetry"


def test_without_anybody_who_reads_the_list_nobody_comes_in(keys: Keys) -> None:
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


def test_each_connection_is_counted_once(router: Router, keys: Keys) -> None:
    host, port = router.endpoint.removeprefix("tcp://").split(":")
    with socket.create_connection((host, int(port))) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
    knock(router.endpoint, [stranger(keys), None, None])
    away = Counter[str]()
    deadline = time.monotonic() + 20
    while (away.total(), router.unread_connections()) != (3, 1) and time.monotonic() < deadline:
        assert router.receive() is None
        away.update(reason for reason, _ in router.rejected())
    assert away == {NOT_ON_THE_LIST: 1, WITHOUT_A_KEY: 2}
    assert router.unread_connections() == 1
