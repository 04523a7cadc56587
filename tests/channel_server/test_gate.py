"""The gate closes once and reads in node order, whatever arrives in whatever order."""

from hypothesis import given
from hypothesis import strategies as st

from channel_server.gate import Gate
from protocol.messages.node import Reply

SLOT, TURN = 7, 2

replies = st.builds(
    Reply,
    slot=st.sampled_from([SLOT - 1, SLOT, SLOT + 1]),
    turn=st.sampled_from([TURN - 1, TURN, TURN + 1]),
    action=st.binary(max_size=2),
    outbox=st.just([]),
)
happenings = st.lists(st.tuples(st.integers(0, 6), st.none() | replies), max_size=60)


@given(st.sets(st.integers(0, 5), min_size=1), happenings)
def test_it_takes_the_first_right_answer_of_each_asked_node(asked: set[int], happened: list) -> None:  # type: ignore[type-arg]
    gate = Gate(SLOT, TURN, "act", sorted(asked, reverse=True))
    expected: dict[int, Reply | None] = {}
    for node, reply in happened:
        open_before = not gate.closed
        if reply is None:
            gate.lose(node)
            if node in asked:
                expected.setdefault(node, None)
            continue
        taken = gate.accept(node, reply) == ""
        right = (reply.slot, reply.turn) == (SLOT, TURN) and node in asked and node not in expected
        assert taken == right
        if taken:
            assert open_before
            expected[node] = reply
    assert gate.closed == (expected.keys() == asked)
    assert gate.missing == sorted(asked - expected.keys())
    if gate.closed:
        assert gate.replies() == sorted(expected.items())


def test_late_early_and_unasked_replies_are_rejected_with_different_reasons() -> None:
    gate = Gate(SLOT, TURN, "act", [0, 1])
    assert gate.accept(0, Reply(SLOT, TURN - 1, b"", [])) == "late or duplicate reply"
    assert gate.accept(0, Reply(SLOT + 1, 0, b"", [])) == "out-of-order reply"
    assert gate.accept(3, Reply(SLOT, TURN, b"", [])) == "unrequested reply"
    assert gate.accept(0, Reply(SLOT, TURN, b"", [])) == ""
    assert gate.accept(0, Reply(SLOT, TURN, b"", [])) == "late or duplicate reply"
