"""Held notes: of each source the newest counts, by when it was told, whatever comes in which order."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.determinism.snapshots import pack, unpack
from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote
from schemes.parts.latest_notes import LatestNotes, NewestFilter

TOLD = st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 2))


def _received_note(source: int, slot: int, turn: int = 0, kind: Kind = Kind.CSI) -> ReceivedNote:
    return ReceivedNote(source, kind, slot, turn, bytes([source, slot, turn]))


@given(st.lists(st.lists(TOLD, max_size=6), max_size=6))
def test_the_newest_of_each_source_is_held_and_news_once(inboxes: list[list[tuple[int, int, int]]]) -> None:
    held, newest = LatestNotes(Kind.CSI), NewestFilter(Kind.CSI)
    expected: dict[int, tuple[int, int]] = {}
    for told in inboxes:
        received_notes = [_received_note(*each) for each in told] + [_received_note(1, 99, kind=Kind.ACK)]
        before = dict(expected)
        for source, *told_at in told:
            expected[source] = max(expected.get(source, (-1, -1)), (told_at[0], told_at[1]))
        held.hear(received_notes)
        news = newest.take(received_notes)
        assert {x.source: (x.slot, x.turn) for x in held.at(5)} == expected
        changed = {source: at for source, at in expected.items() if before.get(source) != at}
        assert {x.source: (x.slot, x.turn) for x in news} == changed
        again = LatestNotes(Kind.CSI)
        again.restore(unpack(pack(held.snapshot())))
        assert again.at(5) == held.at(5)
        newest.restore(unpack(pack(newest.snapshot())))


def test_what_is_too_old_counts_as_unsaid() -> None:
    held = LatestNotes(Kind.CSI, oldest_slots=2)
    held.hear([_received_note(0, 5), _received_note(1, 7)])
    assert [[x.source for x in held.at(slot)] for slot in (7, 8, 9, 10)] == [[0, 1], [1], [1], []]
    held.hear([_received_note(0, 3)])  # later to come, but older
    assert held.at(7)[0].slot == 5


def test_nothing_is_held_after_it_is_forgotten() -> None:
    held = LatestNotes(Kind.CSI)
    held.hear([_received_note(0, 5)])
    held.forget()
    assert held.at(5) == []
    held.hear([_received_note(0, 0)])  # slots may begin anew with an episode
    assert len(held.at(5)) == 1
