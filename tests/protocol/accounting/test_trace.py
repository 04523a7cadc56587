"""Where two traces part."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.accounting.trace import ROW, TraceField, TraceWriter, first_divergence, read_rows


def _trace(values: list[bytes]) -> bytes:
    writer = TraceWriter(keep_values=False)
    for slot, value in enumerate(values):
        writer.add(slot, 0, 3, TraceField.ACTION, value)
    return writer.drain()[0]


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=20), st.data())
def test_one_flipped_bit_is_found_where_it_is(values: list[bytes], data: st.DataObject) -> None:
    whole = _trace(values)
    row = data.draw(st.integers(0, len(values) - 1))
    bit = data.draw(st.integers(0, 63))
    flipped = bytearray(whole)
    flipped[row * ROW.itemsize + 9 + bit // 8] ^= 1 << bit % 8
    parting = first_divergence(read_rows(whole), read_rows(bytes(flipped)))
    assert parting is not None
    assert (parting.slot, parting.node, parting.field) == (row, 3, TraceField.ACTION)


def test_equal_traces_do_not_differ() -> None:
    assert first_divergence(read_rows(_trace([b"a", b"b"])), read_rows(_trace([b"a", b"b"]))) is None


def test_a_shorter_trace_differs_where_it_ends() -> None:
    parting = first_divergence(read_rows(_trace([b"a"])), read_rows(_trace([b"a", b"b"])))
    assert parting is not None
    assert (parting.slot, parting.reason) == (1, "one trace ends here (1 rows against 2)")


def test_a_truncated_file_is_no_trace() -> None:
    with pytest.raises(ValueError, match="not a multiple of 17"):
        read_rows(_trace([b"a"])[:-1])


def test_values_are_kept_when_asked_for() -> None:
    writer = TraceWriter(keep_values=True)
    writer.add(1, 2, 3, TraceField.REWARD, np.float64(0.5).tobytes())
    assert writer.drain()[1]
    assert writer.drain() == (b"", b"")
