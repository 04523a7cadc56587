"""The server's socket, and peers that do not speak its protocol."""

import socket

import pytest
import zmq

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
