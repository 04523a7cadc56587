"""The ports on which a run process listens for its workers."""

import socket
from collections.abc import Iterator

import pytest

from controller.config.errors import ConfigError
from controller.pool.leased_workers import LeasedWorkers, Ports


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def test_ports_are_parsed_and_formatted() -> None:
    for text in ("0.0.0.0:8772-8799", "10.0.0.1:*"):
        assert str(Ports.parse(text)) == text
    assert Ports.parse("h:8772") == Ports("h", 8772, 8772)
    assert list(Ports("h", 3, 4).endpoints) == ["tcp://h:3", "tcp://h:4"]
    for wrong in ("h:9-8", "h:0-5", "h:1-70000", "h:x"):
        with pytest.raises(ValueError):  # noqa: PT011
            Ports.parse(wrong)


def test_the_first_free_port_is_used_and_without_one_a_fix_is_suggested(taken: int) -> None:
    with pytest.raises(ConfigError, match=f"--run-process-ports: all of 127.0.0.1:{taken}-{taken} are taken"):
        LeasedWorkers(Ports("127.0.0.1", taken, taken), {})
    with pytest.raises(ConfigError, match=r"--pool: tcp://240\.0\.0\.1:"):
        LeasedWorkers(Ports("240.0.0.1", 9999, 9999), {})


def test_the_channel_servers_line_has_a_port_of_its_own() -> None:
    with LeasedWorkers(Ports(), {}) as workers, workers.line() as (_, line):
        assert line.port not in (0, workers.port)
