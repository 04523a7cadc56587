"""Acknowledged delivery: everything told is taken once, in order, and acknowledged as often as it comes."""

from hypothesis import given
from hypothesis import strategies as st

from agent_node.delivery import Delivery
from protocol.kinds import Kind
from protocol.messages import Letter, Note
from protocol.snapshots import pack, unpack


def _letter(note: Note, source: int = 0) -> Letter:
    return Letter(source, note.kind, 0, 0, note.body)


@given(st.lists(st.tuples(st.sampled_from([Kind.HISTORY, Kind.WEIGHTS, Kind.CSI]), st.binary(max_size=5))))
def test_notes_arrive_as_they_were_told_and_are_acknowledged(told: list[tuple[Kind, bytes]]) -> None:
    sender, receiver = Delivery(), Delivery()
    notes = sender.send([Note((1,), kind, body) for kind, body in told], 7)
    letters, acks = receiver.receive([_letter(note) for note in notes])
    assert [(letter.kind, letter.body) for letter in letters] == told
    assert len(acks) == sum(kind != Kind.CSI for kind, _ in told)
    assert sender.receive([_letter(ack, 1) for ack in acks]) == ([], [])
    assert not sender.unacknowledged


def test_a_repetition_is_acknowledged_again_but_not_taken_again() -> None:
    sender, receiver = Delivery(), Delivery()
    [note] = sender.send([Note((1,), Kind.HISTORY, b"rows")], 0)
    first, acks = receiver.receive([_letter(note)])
    again, acks_again = receiver.receive([_letter(note)])
    assert [letter.body for letter in first] == [b"rows"]
    assert (again, acks_again) == ([], acks)


def test_numbers_are_counted_per_source() -> None:
    receiver = Delivery()
    letters = [_letter(Delivery().send([Note((9,), Kind.WEIGHTS, b"w")], 0)[0], source) for source in (3, 4)]
    assert [letter.source for letter in receiver.receive(letters)[0]] == [3, 4]


def test_what_is_not_acknowledged_survives_a_snapshot() -> None:
    sender, again = Delivery(), Delivery()
    sent = sender.send([Note((1,), Kind.HISTORY, b"rows")], 0)
    again.restore(unpack(pack(sender.snapshot())))
    assert list(again.unacknowledged.values()) == sent
    assert again.send([Note((1,), Kind.HISTORY, b"more")], 0)[0].body[:4] == b"\2\0\0\0"


def test_a_node_that_starts_anew_is_taken_from_its_first_note_on() -> None:
    receiver = Delivery()
    for slot in range(20):
        [note] = Delivery().send([Note((9,), Kind.HISTORY, b"a")], slot)  # as if it had restarted before every slot
        assert [letter.body for letter in receiver.receive([_letter(note)])[0]] == [b"a"]


def test_of_weights_only_the_newest_wait_for_their_acknowledgement() -> None:
    sender = Delivery()
    for slot in range(5):
        sender.send([Note((receiver,), Kind.WEIGHTS, bytes([slot])) for receiver in (1, 2)], slot)
    assert [note.body[-1] for note in sender.unacknowledged.values()] == [4, 4]
