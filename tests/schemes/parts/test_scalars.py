"""Real numbers in notes: what arrives, how many bytes it takes, what is rejected."""

import numpy as np
import pytest

from schemes.parts.scalars import ScalarCoding
from schemes.parts.weights import Precision


@pytest.mark.parametrize(
    ("precision", "size", "error"), [("float32", 4, 0), ("float16", 2, 2e-3), ("int8", 1, 5 / 255)]
)
def test_numbers_arrive_as_precisely_as_their_format(precision: Precision, size: int, error: float) -> None:
    coding = ScalarCoding(-5.0, 5.0, (2, 3), replicas=4, precision=precision)
    values = np.random.default_rng(1).uniform(-5, 5, (4, 2, 3)).astype(np.float32)
    body = coding.write(values)
    assert len(body) == 4 * coding.bytes_each == 4 * 6 * size
    np.testing.assert_allclose(coding.read(body), values, atol=error + 1e-9)


@pytest.mark.parametrize("precision", ["float32", "float16", "int8"])
def test_bounds_arrive_exactly_and_what_lies_beyond_is_cut(precision: Precision) -> None:
    coding = ScalarCoding(0.0, 1.0, (4,), replicas=1, precision=precision)
    np.testing.assert_array_equal(coding.read(coding.write(np.array([[-3.0, 0.0, 1.0, 7.0]]))), [[0, 0, 1, 1]])


@pytest.mark.parametrize("value", [1.5, -0.5, np.nan, np.inf])
def test_a_number_out_of_bounds_is_rejected(value: float) -> None:
    with pytest.raises(ValueError, match="not within 0 to 1"):
        ScalarCoding(0.0, 1.0, (), replicas=1).read(np.array([value], "<f4").tobytes())


@pytest.mark.parametrize("body", [b"", b"12345", bytes(20)])
def test_another_length_is_rejected(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"reshape|multiple"):
        ScalarCoding(0.0, 1.0, (2,), replicas=2).read(body)
