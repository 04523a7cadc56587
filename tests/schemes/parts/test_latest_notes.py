"""Latest notes: of each source the note that was sent last counts, in whatever order notes arrive."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.determinism.snapshots import pack, unpack
from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote
from schemes.parts.latest_notes import LatestNotes, NewestFilter

SENT = st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 2))  # source, slot, turn


def _note(source: int, slot: int, turn: int = 0, kind: Kind = Kind.CSI) -> ReceivedNote:
    return ReceivedNote(source, kind, slot, turn, bytes([source, slot, turn]))


@given(st.lists(st.lists(SENT, max_size=6), max_size=6))
def test_the_newest_note_of_each_source_is_kept_and_passes_once(inboxes: list[list[tuple[int, int, int]]]) -> None:
    latest, newest = LatestNotes(Kind.CSI), NewestFilter(Kind.CSI)
    expected: dict[int, tuple[int, int]] = {}
    for sent in inboxes:
        notes = [_note(*each) for each in sent] + [_note(1, 99, kind=Kind.ACK)]
        before = dict(expected)
        for source, *sent_at in sent:
            expected[source] = max(expected.get(source, (-1, -1)), (sent_at[0], sent_at[1]))
        latest.update(notes)
        passed = newest.take(notes)
        assert {x.source: (x.slot, x.turn) for x in latest.at(5)} == expected
        changed = {source: at for source, at in expected.items() if before.get(source) != at}
        assert {x.source: (x.slot, x.turn) for x in passed} == changed
        again = LatestNotes(Kind.CSI)
        again.restore(unpack(pack(latest.snapshot())))
        assert again.at(5) == latest.at(5)
        newest.restore(unpack(pack(newest.snapshot())))


def test_a_note_over_the_maximum_age_counts_as_none() -> None:
    latest = LatestNotes(Kind.CSI, max_age_slots=2)
    latest.update([_note(0, 5), _note(1, 7)])
    assert [[x.source for x in latest.at(slot)] for slot in (7, 8, 9, 10)] == [[0, 1], [1], [1], []]
    latest.update([_note(0, 3)])  # arrives later, but is older
    assert latest.at(7)[0].slot == 5


def test_after_clear_older_notes_are_accepted_again() -> None:
    latest = LatestNotes(Kind.CSI)
    latest.update([_note(0, 5)])
    latest.clear()
    assert latest.at(5) == []
    latest.update([_note(0, 0)])  # slots may begin at 0 again with an episode
    assert len(latest.at(5)) == 1
