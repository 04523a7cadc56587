"""The wire book's arithmetic; that it equals what TCP carries is shown in tests/system."""

import pytest

from protocol.accounting.wire_book import CURVE, NULL, Connection, Framing, Leg, WireBook, totals


def test_zmtp_frames_cost_two_bytes_up_to_255_and_nine_beyond() -> None:
    assert [NULL.of(frame_bytes) for frame_bytes in (0, 255, 256, 70_000)] == [2, 2, 9, 9]


def test_encrypted_frames_cost_33_more_and_their_encrypted_length_counts() -> None:
    assert [CURVE.of(frame_bytes) for frame_bytes in (0, 222, 223, 70_000)] == [35, 35, 42, 42]


def test_a_leg_splits_a_frame_into_notes_and_emulation() -> None:
    leg = Leg()
    leg.book(300, 2, 120, 9)
    assert (leg.frames, leg.notes, leg.note_bytes, leg.emulation_bytes, leg.framing_bytes) == (1, 2, 120, 180, 9)
    assert leg.socket_bytes == 309


@pytest.mark.parametrize("framing", [NULL, CURVE], ids=["plain", "encrypted"])
def test_an_account_begins_with_the_handshake(framing: Framing) -> None:
    book = WireBook(framing=framing)
    book.up(b"a", 10, 0, 0)
    book.down(b"a", 300, 0, 0)
    [account] = book.connections
    assert account.up.socket_bytes == framing.up_handshake + 10 + 2 + framing.per_frame
    assert account.down.socket_bytes == framing.down_handshake + 300 + 9 + framing.per_frame


def test_what_was_sent_since_the_last_frame_may_be_undelivered() -> None:
    book = WireBook()
    book.up(b"a", 10, 0, 0)
    book.down(b"a", 100, 0, 0)
    book.up(b"a", 10, 0, 0)
    book.down(b"a", 50, 0, 0)
    book.down(b"a", 300, 0, 0)
    book.broke(b"a")
    assert book.connections[0].undelivered_bytes == 50 + 2 + 300 + 9


def test_totals_sum_both_directions_of_all_connections() -> None:
    up, down = Leg(framing_bytes=107), Leg(framing_bytes=107)
    up.book(20, 1, 5, 2)
    down.book(30, 0, 0, 2)
    sums = totals([Connection("a", up, down, 7), Connection("b", Leg(), Leg())])
    assert (sums.note_bytes, sums.emulation_bytes, sums.undelivered_bytes) == (5, 45, 7)
    assert sums.framing_bytes == 2 * 107 + 4
    assert sums.socket_bytes == sums.note_bytes + sums.emulation_bytes + sums.framing_bytes
