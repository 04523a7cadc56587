"""A run process's roster, given events: which worker starts which process, and how the process ends."""

from typing import Any

from controller.pool.roster import ProcessRequest, Roster
from controller.pool.timeouts import LEASED_WORKER_TIMEOUT_S
from protocol.messages.node import PROTOCOL_VERSION
from protocol.messages.pool import Alive, Attach, Exited, FromRunProcess, Kill, Refusal, Release, Role, StartNode


def _attach(name: str, role: Role = "agent") -> Attach:
    return Attach(PROTOCOL_VERSION, f"lease of {name}", role, name, "host", {})


def _request(name: str) -> ProcessRequest:
    return ProcessRequest("agent", lambda: [StartNode("tcp://there:1", "run", name)])


def _starts(sends: Any) -> list[tuple[bytes, str]]:
    return [
        (peer, message.name if isinstance(message, StartNode) else type(message).__name__) for peer, message in sends
    ]


def _roster(*peers: bytes) -> Roster:
    roster = Roster({"agent": 3, "channel": 1})
    for peer in peers:
        assert list(roster.receive(peer, _attach(peer.decode()), 0.0)) == []
    return roster


def test_nodes_start_in_order_at_attached_workers_and_later_at_those_that_attach() -> None:
    roster, nodes = _roster(b"a", b"b"), [_request(f"pair-{n}") for n in range(3)]
    assert [start for node in nodes for start in _starts(roster.request(node))] == [(b"a", "pair-0"), (b"b", "pair-1")]
    assert [roster.is_pending(node) for node in nodes] == [False, False, True]
    assert _starts(roster.receive(b"c", _attach("c"), 0.0)) == [(b"c", "pair-2")]
    assert _starts(roster.receive(b"d", _attach("d"), 0.0)) == [(b"d", "Release")]
    assert _starts(roster.receive(b"e", _attach("e", "channel"), 0.0)) == []
    assert _starts(roster.receive(b"f", _attach("f", "channel"), 0.0)) == [(b"f", "Release")]


def test_a_worker_whose_process_has_ended_runs_the_next() -> None:
    roster, first, second = _roster(b"a"), _request("pair-0"), _request("pair-1")
    assert _starts([*roster.request(first), *roster.request(second)]) == [(b"a", "pair-0")]
    assert _starts(roster.receive(b"a", Exited(-9), 0.0)) == [(b"a", "pair-1")]
    assert (first.exitcode, first.cause, first.worker_lost) == (-9, "signal 9", False)
    assert second.exitcode is None


def test_a_lost_worker_takes_its_process_away() -> None:
    roster, node = _roster(b"a"), _request("pair-0")
    assert _starts(roster.request(node)) == [(b"a", "pair-0")]
    roster.gone(b"a", "its connection broke")
    assert (node.exitcode, node.worker_lost) == (1, True)
    assert node.cause == "its worker a on host is gone: its connection broke"
    assert list(roster.receive(b"a", Alive(), 0.0)) == [(b"a", Refusal("send Attach first"))]


def test_a_silent_worker_is_given_up_and_released() -> None:
    roster, node = _roster(b"a", b"b"), _request("pair-0")
    assert _starts(roster.request(node)) == [(b"a", "pair-0")]
    assert list(roster.receive(b"b", Alive(), LEASED_WORKER_TIMEOUT_S)) == [(b"b", Alive())]
    assert list(roster.expire(LEASED_WORKER_TIMEOUT_S + 1)) == [(b"a", Release())]
    assert (node.exitcode, node.worker_lost, roster.peers) == (1, True, [b"b"])


def test_a_kill_ends_a_started_process_and_cancels_a_waiting_one() -> None:
    roster, begun, waits = _roster(b"a"), _request("pair-0"), _request("pair-1")
    _ = [roster.request(node) for node in (begun, waits)]
    kill: list[tuple[bytes, FromRunProcess]] = [(b"a", Kill())]
    assert (list(roster.kill(begun)), begun.exitcode) == (kill, None)
    assert (list(roster.kill(waits)), waits.exitcode) == ([], -9)
    assert _starts(roster.receive(b"a", Exited(-9), 0.0)) == []
    assert list(roster.kill(begun)) == []
