"""Where two traces part."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.accounting.trace import (
    ROW,
    TraceDigest,
    TraceField,
    TraceWriter,
    digest_of,
    first_divergence,
    read_rows,
)


def _trace(values: list[bytes]) -> bytes:
    writer = TraceWriter(keep_values=False)
    for slot, value in enumerate(values):
        writer.add((slot, 0, 3, TraceField.ACTION, value))
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
    writer.add((1, 2, 3, TraceField.REWARD, np.float64(0.5).tobytes()))
    assert writer.drain()[1]
    assert writer.drain() == (b"", b"")


@given(st.lists(st.integers(0, 200_000), max_size=6))
def test_a_digest_does_not_depend_on_how_the_trace_comes(lengths: list[int]) -> None:
    rows = np.arange(sum(lengths), dtype=np.uint8).tobytes()
    digest, first = TraceDigest(), 0
    for length in lengths:
        digest.update(rows[first : first + length])
        first += length
    assert digest.hexdigest() == digest_of(rows)


def test_a_long_trace_is_digested_in_time_that_grows_with_its_length() -> None:
    rows, began = bytes(64 * 2**20), time.process_time()  # of 50,000 slots
    digest_of(rows)
    assert time.process_time() - began < 4  # 0.1 s; 10 s if each block copied what comes after it
