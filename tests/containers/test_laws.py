"""The two laws in containers: one trace, and the wire book that a packet capture confirms to the byte."""

import json
from contextlib import ExitStack
from typing import Any

import msgspec

from airtoll.client import Controller
from protocol.accounting.wire_book import Connection
from tests.containers.capture import End
from tests.containers.engine import Captured, Stack
from tests.containers.runs import LEARNING, PLAIN, finished, in_one_process


def test_a_run_that_learns_has_the_trace_of_one_process_and_the_bytes_of_the_capture(town: Stack) -> None:
    client, channels = town.client(), town.containers("channel")
    addresses = {town.address(channel) for channel in channels}
    with ExitStack() as stack:
        captures = [stack.enter_context(Captured(channel)) for channel in channels]
        run = finished(client, LEARNING)
        captured = [found for capture in captures for found in capture.connections() if found[1][0] in addresses]
    assert run["slot"] == 2000
    _check_capture(_wire_book(client, run), captured)
    twin = in_one_process(client, LEARNING)
    assert run["trace_digest"] == twin["trace_digest"]
    assert run["metrics"] == twin["metrics"]


def test_a_dense_container_takes_twenty_nodes_at_once(town: Stack) -> None:
    """The run has twice as many as there are agents' containers."""
    client, crowd = town.client(), PLAIN | {"world": PLAIN["world"] | {"pairs": 20}, "slots": 300}
    town.compose("--profile", "dense", "up", "--detach", "--no-build", "--no-recreate", "--no-deps", "dense")
    try:
        run = finished(client, crowd)
    finally:
        town.compose("--profile", "dense", "rm", "--stop", "--force", "dense")
    assert run["trace_digest"] == in_one_process(client, crowd)["trace_digest"]


def _wire_book(client: Controller, run: dict[str, Any]) -> list[Connection]:
    return msgspec.json.decode(client.file(run["id"], "wire_book.json"), type=list[Connection])


def _check_capture(accounts: list[Connection], captured: list[tuple[End, End, int, int]]) -> None:
    """A connection per pair and one of the trainer; each carried, in both directions, what its account says."""
    assert len(accounts) == 11
    assert not any(account.undelivered_bytes for account in accounts)
    booked = sorted((account.up.socket_bytes, account.down.socket_bytes) for account in accounts)
    assert booked == sorted((up, down) for _, _, up, down in captured)
    assert len({client for (client, _), *_ in captured}) == 11  # a container each
    print(json.dumps({"bytes": sum(up + down for up, down in booked), "connections": len(booked)}))
