"""Decisions in notes: their bytes, the bits that the air is charged, and what is rejected."""

import numpy as np
import pytest

from protocol.messages.kinds import Kind
from protocol.messages.node import Note, ReceivedNote
from schemes.parts.central import ChoiceCoding


def received(note: Note) -> ReceivedNote:
    return ReceivedNote(9, note.kind, 0, 0, note.body)


@pytest.mark.parametrize(
    ("low", "high", "note_bytes", "bits"),
    [(0, 1, 1, 1), (0, 2, 1, 2), (-1, 9, 1, 4), (-1, 127, 1, 8), (-1, 128, 2, 8), (0, 40_000, 4, 16)],
)
def test_choices_survive_in_as_few_bytes_as_hold_them(low: int, high: int, note_bytes: int, bits: int) -> None:
    coding, choices = ChoiceCoding(low, high, replicas=3), np.array([low, high, (low + high) // 2])
    note = coding.note(4, choices)
    assert (note.to, note.kind, len(note.body), note.payload_bits) == ((4,), Kind.DECISION, 3 * note_bytes, bits)
    np.testing.assert_array_equal(coding.read(received(note)), choices)


@pytest.mark.parametrize("body", [b"", b"\x00", b"\x00\x03", b"\x00\xff", b"\x00\x00\x00"])
def test_a_decision_of_another_length_or_out_of_bounds_is_rejected(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"choice|reshape"):
        ChoiceCoding(0, 2, replicas=2).read(ReceivedNote(9, Kind.DECISION, 0, 0, body))
