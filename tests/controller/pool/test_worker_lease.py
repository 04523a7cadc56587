"""A worker's end of a lease, whose run process goes away: real connections, and a clock that the test sets."""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
import zmq
from msgspec.structs import replace

from controller.execution.local_machine import LocalMachine
from controller.pool.timeouts import RUN_PROCESS_RECONNECT_TIMEOUT_S
from controller.pool.worker_lease import ChannelAddress, WorkerLease
from protocol.messages.node import PROTOCOL_VERSION
from protocol.messages.pool import Attach, Lease, decode_for_run_process
from protocol.transports.router import Router

ATTACH = Attach(PROTOCOL_VERSION, "lease", "agent", "attic", "host", {})


@pytest.fixture
def context() -> Iterator["zmq.Context[zmq.Socket[bytes]]"]:
    with zmq.Context() as made:
        yield made


@contextmanager
def _leased(context: "zmq.Context[zmq.Socket[bytes]]", run_process: Router) -> Iterator[WorkerLease]:
    lease = Lease("lease", "run", int(run_process.endpoint.rpartition(":")[2]))
    address = ChannelAddress("tcp://127.0.0.1:*", "")
    made = WorkerLease(
        context, "127.0.0.1", lease, ATTACH, LocalMachine(), lambda: address, None, zmq.Poller(), now=0.0
    )
    try:
        yield made
    finally:
        made.end()


def _poll_until(lease: WorkerLease, now: float, reached: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not reached():
        lease.poll(now)
        assert time.monotonic() < deadline


def _first(router: Router, lease: WorkerLease, now: float) -> object:
    """The first message that the lease sends."""
    frames: list[bytes] = []

    def has_come() -> bool:
        frames.extend(frame for _, frame in router.pending() if isinstance(frame, bytes))
        return bool(frames)

    _poll_until(lease, now, has_come)
    return decode_for_run_process(frames[0])


def test_a_lease_whose_connection_broke_attaches_again(context: "zmq.Context[zmq.Socket[bytes]]") -> None:
    with ExitStack() as stack:
        with Router(context, "tcp://127.0.0.1:*") as run_process:
            lease = stack.enter_context(_leased(context, run_process))
            assert _first(run_process, lease, 0.0) == ATTACH
        _poll_until(lease, 1.0, lambda: not lease.connected)
        with Router(context, run_process.endpoint) as again:
            assert _first(again, lease, 1.0 + RUN_PROCESS_RECONNECT_TIMEOUT_S) == replace(ATTACH, started=0)
            assert (lease.over, lease.assignment.attached) == ("", True)


def test_a_lease_whose_run_process_stays_away_ends(context: "zmq.Context[zmq.Socket[bytes]]") -> None:
    with ExitStack() as stack:
        with Router(context, "tcp://127.0.0.1:*") as run_process:
            lease = stack.enter_context(_leased(context, run_process))
            _poll_until(lease, 0.0, lambda: lease.connected)
        _poll_until(lease, 1.0, lambda: not lease.connected)
        ends = []
        for now in (1.0 + RUN_PROCESS_RECONNECT_TIMEOUT_S, 1.1 + RUN_PROCESS_RECONNECT_TIMEOUT_S):
            lease.poll(now)
            ends.append(lease.over)
        assert ends == ["", "the run process is gone"]
