"""The wire book's arithmetic; that it equals what TCP carries is shown in tests/system."""

from protocol.wire_book import HANDSHAKE_BYTES, Connection, Leg, WireBook, totals


def test_zmtp_frames_cost_two_bytes_up_to_255_and_nine_beyond() -> None:
    legs = [Leg(framing_bytes=0) for _ in range(4)]
    for leg, frame_bytes in zip(legs, (0, 255, 256, 70_000), strict=True):
        leg.book(frame_bytes, 0, 0)
    assert [leg.framing_bytes for leg in legs] == [2, 2, 9, 9]


def test_a_leg_splits_a_frame_into_notes_and_envelope() -> None:
    leg = Leg()
    leg.book(300, 2, 120)
    assert (leg.frames, leg.notes, leg.note_bytes, leg.emulation_bytes) == (1, 2, 120, 180)
    assert leg.framing_bytes == HANDSHAKE_BYTES + 9
    assert leg.socket_bytes == HANDSHAKE_BYTES + 309


def test_what_was_sent_since_the_last_answer_may_be_undelivered() -> None:
    book = WireBook()
    book.up(b"a", 10, 0, 0)
    book.down(b"a", 100, 0, 0)
    book.up(b"a", 10, 0, 0)
    book.down(b"a", 50, 0, 0)
    book.down(b"a", 300, 0, 0)
    book.broke(b"a")
    assert book.connections[0].undelivered_bytes == 50 + 2 + 300 + 9


def test_totals_sum_both_directions_of_all_connections() -> None:
    up, down = Leg(), Leg()
    up.book(20, 1, 5)
    down.book(30, 0, 0)
    sums = totals([Connection("a", up, down, 7), Connection("b", Leg(), Leg())])
    assert (sums.note_bytes, sums.emulation_bytes, sums.undelivered_bytes) == (5, 45, 7)
    assert sums.framing_bytes == 4 * HANDSHAKE_BYTES + 4
    assert sums.socket_bytes == sums.note_bytes + sums.emulation_bytes + sums.framing_bytes
