"""Queue lengths as notes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from schemes.zhang2025.queue_notes import decode_queues, encode_queues

SHAPES = st.tuples(st.integers(1, 4), st.integers(1, 5))


@given(hnp.arrays(np.int32, SHAPES, elements=st.integers(0, 65_535)))
def test_a_round_trip_returns_the_queues(tasks: np.typing.NDArray[np.int32]) -> None:
    body = encode_queues(tasks)
    assert len(body) == 2 * tasks.size
    np.testing.assert_array_equal(decode_queues(body, *tasks.shape), tasks)


def test_a_longer_queue_is_sent_as_the_maximum() -> None:
    assert decode_queues(encode_queues(np.array([[70_000, 1]])), 1, 2).tolist() == [[65_535, 1]]
