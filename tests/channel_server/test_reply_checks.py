"""Replies that are rejected, though they come in turn."""

import pytest

from channel_server import held_bytes
from protocol.messages.codec import encode
from protocol.messages.kinds import Kind
from protocol.messages.node import Note, Reply
from tests.recording import plan_for, stepping


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(0, 0, b"\0\0", []), "reply with an action out of turn"),
        (Reply(0, 0, b"", [Note((-1, 2), Kind.CONTROL, b"x")]), "reply with a note to an unknown destination"),
        (Reply(0, 0, b"", [Note((1, 1), Kind.CONTROL, b"x")]), "reply with a note to an unknown destination"),
        (Reply(0, 0, b"", [Note((1,), Kind.CONTROL, b"x", -40)]), "reply with a note to an unknown destination"),
        (Reply(0, 0, b"", [Note((), Kind.CONTROL, b"x")]), "reply with a note to an unknown destination"),
        (Reply(0, 0, b"", [Note((1,), Kind.CONTROL, b"x", 2**63)]), "reply with notes of too many bits"),
    ],
)
def test_a_reply_that_does_not_fit_its_turn_is_rejected(reply: Reply, reason: str) -> None:
    """In an exchange turn, of a run with a trainer."""
    loopback, steps, _ = stepping(plan_for("li2020/greedy_central", slots=3))
    next(steps)
    loopback.deliver(b"pair-3", encode(reply))
    assert loopback.run.state.events.dropped == {reason: 1}


def test_in_the_closing_turn_only_notes_for_the_trainer_are_accepted() -> None:
    loopback, steps, _ = stepping(plan_for("li2020/random", slots=3))
    for _ in steps:
        if loopback.run.gates.awaited is not None and loopback.run.gates.awaited.step == "close":
            loopback.deliver(b"pair-3", encode(Reply(3, 0, b"", [Note((-1,), Kind.CONTROL, b"x")])))
            break
    assert loopback.run.state.events.dropped == {"reply with a note after the last turn": 1}


def test_a_node_whose_notes_do_not_leave_can_queue_only_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """One bit per slot leaves; a note that has left makes room for others."""
    monkeypatch.setattr(held_bytes, "MAX_HELD_BYTES", 40)
    plan = plan_for("li2020/random", slots=300, signalling={"all": {"bits_per_slot": 1}})
    loopback, steps, _ = stepping(plan)
    next(steps)
    taken = []
    for _ in steps:
        gate = loopback.run.gates.awaited
        if gate is not None and 3 in gate.missing and gate.step == "act":
            note = Note((0,), Kind.CONTROL, bytes(10))
            loopback.deliver(b"pair-3", encode(Reply(gate.slot, gate.turn, b"", [note])))
            taken.append(3 not in gate.missing)
    assert taken[:6] == [True] * 4 + [False] * 2
    assert sum(taken) == 4 + 300 // 80
    assert loopback.run.state.events.dropped["reply with more notes than its links can hold"] == taken.count(False)
