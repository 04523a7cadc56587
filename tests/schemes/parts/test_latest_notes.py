"""Latest notes: of each source the note that was sent last counts, in whatever order notes arrive."""

from hypothesis import given
from hypothesis import strategies as st

from protocol.determinism.rng import CounterRng
from protocol.determinism.snapshots import pack, unpack
from protocol.messages.episodes import going_on
from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote
from protocol.messages.spaces import Space
from schemes.contract import TurnContext
from schemes.parts.latest_notes import LatestNotes, NewestFilter
from schemes.parts.note_reader import NoteReader

SENT = st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 2))  # source, slot, turn


def _note(source: int, slot: int, turn: int = 0, kind: Kind = Kind.CSI) -> ReceivedNote:
    return ReceivedNote(source, kind, slot, turn, bytes([source, slot, turn]))


def _turn(*inbox: ReceivedNote) -> TurnContext:
    return TurnContext(0, 0, "act", "eval", going_on(1), Space().empty(1), list(inbox), CounterRng(1, "node"), [])


def _sent_at(note: ReceivedNote) -> tuple[int, int]:
    """The content of a note of these tests; that of source 2 cannot be read in turn 2."""
    source, slot, turn = note.body
    if (source, turn) == (2, 2):
        raise ValueError("broken")
    return slot, turn


READER = NoteReader(Kind.CSI, range(4), _sent_at)


@given(st.lists(st.lists(SENT, max_size=6), max_size=6))
def test_the_newest_note_of_each_source_is_kept_and_passes_once(inboxes: list[list[tuple[int, int, int]]]) -> None:
    latest, newest = LatestNotes(READER), NewestFilter()
    expected: dict[int, tuple[int, int]] = {}
    for sent in inboxes:
        turn = _turn(*(_note(*each) for each in sent), _note(1, 99, kind=Kind.ACK), _note(4, 99))
        before, broken = dict(expected), 1  # source 4 is none of the reader's
        for source, *sent_at in sent:
            if (source, sent_at[1]) == (2, 2):
                broken += 1
            else:
                expected[source] = max(expected.get(source, (-1, -1)), (sent_at[0], sent_at[1]))
        latest.update(turn)
        assert len(turn.unread) == broken
        passed = newest.take(turn.read(READER))
        assert dict(latest.at(5)) == expected
        changed = {source: at for source, at in expected.items() if before.get(source) != at}
        assert {note.source: content for note, content in passed} == changed
        again = LatestNotes(READER)
        again.restore(unpack(pack(latest.snapshot())))
        assert again.at(5) == latest.at(5)
        newest.restore(unpack(pack(newest.snapshot())))


def test_a_note_over_the_maximum_age_counts_as_none() -> None:
    latest = LatestNotes(READER, max_age_slots=2)
    latest.update(_turn(_note(0, 5), _note(1, 7)))
    assert [[source for source, _ in latest.at(slot)] for slot in (7, 8, 9, 10)] == [[0, 1], [1], [1], []]
    latest.update(_turn(_note(0, 3)))  # arrives later, but is older
    assert latest.at(7)[0] == (0, (5, 0))


def test_after_clear_older_notes_are_accepted_again() -> None:
    latest = LatestNotes(READER)
    latest.update(_turn(_note(0, 5)))
    latest.clear()
    assert latest.at(5) == []
    latest.update(_turn(_note(0, 0)))  # slots may begin at 0 again with an episode
    assert len(latest.at(5)) == 1
