"""A run process's roster, given events: which worker starts which process, and how the process ends."""

from typing import Any

from msgspec.structs import replace

from controller.pool.roster import ProcessRequest, Roster
from controller.pool.timeouts import LEASED_WORKER_RECONNECT_TIMEOUT_S, LEASED_WORKER_TIMEOUT_S
from protocol.messages.node import PROTOCOL_VERSION
from protocol.messages.pool import Alive, Attach, Exited, FromRunProcess, Kill, Release, Role, StartNode


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


def _again(name: str, started: int, exitcode: int | None = None) -> Attach:
    """How a worker introduces itself over a new connection."""
    return replace(_attach(name), started=started, exitcode=exitcode)


def test_a_worker_that_does_not_come_back_takes_its_process_away() -> None:
    roster, node = _roster(b"a"), _request("pair-0")
    assert _starts(roster.request(node)) == [(b"a", "pair-0")]
    roster.broken(b"a", 0.0)
    assert list(roster.expire(LEASED_WORKER_RECONNECT_TIMEOUT_S)) == []
    assert (node.exitcode, roster.is_away(node)) == (None, True)
    assert list(roster.expire(LEASED_WORKER_RECONNECT_TIMEOUT_S + 0.1)) == []
    assert (node.exitcode, node.worker_lost, roster.peers) == (1, True, [])
    assert node.cause == "its worker a on host is gone: its connection broke"
    assert _starts(roster.receive(b"a2", _again("a", 1), 6.0)) == [(b"a2", "Release")]


def test_a_worker_whose_connection_broke_keeps_its_process() -> None:
    roster, node = _roster(b"a"), _request("pair-0")
    assert _starts(roster.request(node)) == [(b"a", "pair-0")]
    roster.broken(b"a", 0.0)
    assert list(roster.receive(b"a2", _again("a", 1), 1.0)) == []
    assert list(roster.expire(9.0)) == []
    assert (node.exitcode, roster.is_away(node), roster.peers) == (None, False, [b"a2"])
    assert _starts(roster.kill(node)) == [(b"a2", "Kill")]
    assert list(roster.receive(b"a2", Exited(-9), 2.0)) == []
    assert (node.exitcode, node.worker_lost) == (-9, False)


def test_a_worker_may_be_back_before_its_break_is_noticed() -> None:
    roster, node = _roster(b"a"), _request("pair-0")
    _ = roster.request(node)
    assert list(roster.receive(b"a2", _again("a", 1), 1.0)) == []
    roster.broken(b"a", 1.1)
    assert (roster.is_away(node), roster.peers) == (False, [b"a2"])
    assert list(roster.receive(b"a", Alive(), 1.2)) == []  # of the old connection, late


def test_what_was_lost_with_a_connection_is_made_up_for() -> None:
    roster, node = _roster(b"a"), _request("pair-0")
    assert _starts(roster.request(node)) == [(b"a", "pair-0")]
    roster.broken(b"a", 0.0)
    assert _starts(roster.receive(b"b", _again("a", 0), 1.0)) == [(b"b", "pair-0")]  # the start
    kill: list[tuple[bytes, FromRunProcess]] = [(b"b", Kill())]
    assert list(roster.kill(node)) == kill
    roster.broken(b"b", 1.0)
    assert list(roster.receive(b"c", _again("a", 1), 2.0)) == [(b"c", Kill())]  # the kill
    roster.broken(b"c", 2.0)
    assert list(roster.receive(b"d", _again("a", 1, -9), 3.0)) == []  # the exit
    assert (node.exitcode, node.cause, node.worker_lost) == (-9, "signal 9", True)
    next_one = _request("pair-1")
    assert _starts(roster.request(next_one)) == [(b"d", "pair-1")]
    roster.broken(b"d", 3.0)
    assert _starts(roster.receive(b"e", _again("a", 1, -9), 4.0)) == [(b"e", "pair-1")]  # the start of the second
    assert next_one.exitcode is None


def test_a_killed_process_whose_start_was_lost_never_starts() -> None:
    roster, node = _roster(b"a"), _request("pair-0")
    _ = [roster.request(node), roster.kill(node)]
    assert list(roster.receive(b"b", _again("a", 0), 1.0)) == []
    assert node.exitcode == -9


def test_nobody_waits_for_the_process_of_a_worker_that_is_away_once_it_is_killed() -> None:
    roster, node, second = _roster(b"a"), _request("pair-0"), _request("pair-0")
    _ = roster.request(node)
    roster.broken(b"a", 0.0)
    assert list(roster.kill(node)) == []
    assert (node.exitcode, node.worker_lost) == (1, True)
    _ = roster.request(second)
    assert roster.is_pending(second)
    assert _starts(roster.receive(b"b", _attach("b"), 0.0)) == [(b"b", "pair-0")]


def test_a_worker_in_reserve_starts_nothing_unless_the_other_stays_away() -> None:
    roster, nodes = _roster(b"a", b"b", b"c"), [_request(f"pair-{n}") for n in range(3)]
    _ = [roster.request(node) for node in nodes]
    roster.broken(b"a", 0.0)
    assert _starts(roster.receive(b"d", _attach("d"), 0.1)) == []
    assert _starts(roster.receive(b"e", _attach("e"), 0.1)) == [(b"e", "Release")]
    assert _starts(roster.receive(b"a2", _again("a", 1), 1.0)) == [(b"d", "Release")]
    assert all(node.exitcode is None for node in nodes)


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
