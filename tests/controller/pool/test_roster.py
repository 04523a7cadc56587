"""A run process's leased places, told what happens: who starts what, and what becomes of it."""

from typing import Any

from controller.pool.roster import WORKER_SILENT_S, ProcessRequest, Roster
from protocol.messages.node import PROTOCOL_VERSION
from protocol.messages.pool import Alive, Attach, Exited, FromRunProcess, Kill, Refusal, Release, Role, StartNode


def _come(name: str, role: Role = "agent") -> Attach:
    return Attach(PROTOCOL_VERSION, f"lease of {name}", role, name, "host", {})


def _wanted(name: str) -> ProcessRequest:
    return ProcessRequest("agent", lambda: [StartNode("tcp://there:1", "run", name)])


def _starts(sends: Any) -> list[tuple[bytes, str]]:
    return [
        (peer, message.name if isinstance(message, StartNode) else type(message).__name__) for peer, message in sends
    ]


def _roster(*peers: bytes) -> Roster:
    roster = Roster({"agent": 3, "channel": 1})
    for peer in peers:
        assert list(roster.hear(peer, _come(peer.decode()), 0.0)) == []
    return roster


def test_nodes_begin_in_their_order_at_the_places_that_are_there_and_later_at_those_that_come() -> None:
    roster, nodes = _roster(b"a", b"b"), [_wanted(f"pair-{n}") for n in range(3)]
    assert [start for node in nodes for start in _starts(roster.want(node))] == [(b"a", "pair-0"), (b"b", "pair-1")]
    assert [roster.waits(node) for node in nodes] == [False, False, True]
    assert _starts(roster.hear(b"c", _come("c"), 0.0)) == [(b"c", "pair-2")]
    assert _starts(roster.hear(b"d", _come("d"), 0.0)) == [(b"d", "Release")]
    assert _starts(roster.hear(b"e", _come("e", "channel"), 0.0)) == []
    assert _starts(roster.hear(b"f", _come("f", "channel"), 0.0)) == [(b"f", "Release")]


def test_a_place_whose_process_has_ended_is_free_for_the_next() -> None:
    roster, first, second = _roster(b"a"), _wanted("pair-0"), _wanted("pair-1")
    assert _starts([*roster.want(first), *roster.want(second)]) == [(b"a", "pair-0")]
    assert _starts(roster.hear(b"a", Exited(-9), 0.0)) == [(b"a", "pair-1")]
    assert (first.exitcode, first.cause, first.taken_away) == (-9, "signal 9", False)
    assert second.exitcode is None


def test_with_a_worker_goes_what_it_ran() -> None:
    roster, node = _roster(b"a"), _wanted("pair-0")
    assert _starts(roster.want(node)) == [(b"a", "pair-0")]
    roster.gone(b"a", "its connection broke")
    assert (node.exitcode, node.taken_away) == (1, True)
    assert node.cause == "its worker a on host is gone: its connection broke"
    assert list(roster.hear(b"a", Alive(), 0.0)) == [(b"a", Refusal("say Attach first"))]


def test_whoever_is_silent_is_gone_and_told_so() -> None:
    roster, node = _roster(b"a", b"b"), _wanted("pair-0")
    assert _starts(roster.want(node)) == [(b"a", "pair-0")]
    assert list(roster.hear(b"b", Alive(), WORKER_SILENT_S)) == [(b"b", Alive())]
    assert list(roster.look(WORKER_SILENT_S + 1)) == [(b"a", Release())]
    assert (node.exitcode, node.taken_away, roster.peers) == (1, True, [b"b"])


def test_a_kill_reaches_who_has_begun_and_keeps_the_others_from_it() -> None:
    roster, begun, waits = _roster(b"a"), _wanted("pair-0"), _wanted("pair-1")
    _ = [roster.want(node) for node in (begun, waits)]
    kill: list[tuple[bytes, FromRunProcess]] = [(b"a", Kill())]
    assert (list(roster.kill(begun)), begun.exitcode) == (kill, None)
    assert (list(roster.kill(waits)), waits.exitcode) == ([], -9)
    assert _starts(roster.hear(b"a", Exited(-9), 0.0)) == []
    assert list(roster.kill(begun)) == []
