"""Where a run process listens."""

import socket
from collections.abc import Iterator

import pytest

from controller.config.errors import ConfigError
from controller.pool.leased_workers import LeasedWorkers, Ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_ports_are_read_and_written() -> None:
    for text in ("0.0.0.0:8772-8799", "10.0.0.1:*"):
        assert str(Ports.parse(text)) == text
    assert Ports.parse("h:8772") == Ports("h", 8772, 8772)
    assert list(Ports("h", 3, 4).endpoints) == ["tcp://h:3", "tcp://h:4"]
    for wrong in ("h:9-8", "h:0-5", "h:1-70000", "h:x"):
        with pytest.raises(ValueError):  # noqa: PT011
            Ports.parse(wrong)


def test_the_first_port_that_is_free_is_taken_and_when_there_is_none_the_cure_is_named(taken: int) -> None:
    with pytest.raises(ConfigError, match=f"--run-process-ports: all of 127.0.0.1:{taken}-{taken} are taken"):
        LeasedWorkers(Ports("127.0.0.1", taken, taken), {})
    with pytest.raises(ConfigError, match=r"--pool: tcp://240\.0\.0\.1:"):
        LeasedWorkers(Ports("240.0.0.1", 9999, 9999), {})


def test_a_line_is_bound_beside_the_keepers() -> None:
    with LeasedWorkers(Ports(), {}) as workers, workers.line() as (_, port):
        assert port not in (0, workers.port)
