"""Weights notes: the round trip in each precision, and the bytes it takes."""

import numpy as np
import pytest
from safetensors.numpy import load

from schemes.parts.numpy_nets import draw_mlp
from schemes.parts.weights import Precision, read_weights, write_weights

SIZES = (40, 512, 128, 10)
WEIGHTS = draw_mlp(np.random.default_rng(1), SIZES)


@pytest.mark.parametrize(("precision", "error"), [("float32", 0.0), ("float16", 2**-11), ("int8", 0.5 / 127)])
def test_each_precision_keeps_what_it_can(precision: Precision, error: float) -> None:
    policy_version, restored = read_weights(write_weights(WEIGHTS, 7, precision))
    assert policy_version == 7
    assert restored.keys() == WEIGHTS.keys()
    for name, weight in WEIGHTS.items():
        assert restored[name].dtype == np.float32
        assert np.abs(restored[name] - weight).max() <= error * np.abs(weight).max() * 1.01


def test_a_body_is_a_policy_version_and_safetensors() -> None:
    body = write_weights(WEIGHTS, 1, "float32")
    assert body[:4] == b"\1\0\0\0"
    np.testing.assert_array_equal(load(body[4:])["0.weight"], WEIGHTS["0.weight"])


@pytest.mark.parametrize(("precision", "bytes_per_number"), [("float32", 4), ("float16", 2), ("int8", 1)])
def test_the_bytes_are_the_numbers_and_a_small_head(precision: Precision, bytes_per_number: int) -> None:
    numbers = sum(weight.size for weight in WEIGHTS.values())
    assert numbers == 87_946
    assert 0 < len(write_weights(WEIGHTS, 1, precision)) - bytes_per_number * numbers < 1000


def test_all_zero_weights_survive() -> None:
    zero = {"0.weight": np.zeros((2, 2), np.float32)}
    np.testing.assert_array_equal(read_weights(write_weights(zero, 0, "int8"))[1]["0.weight"], 0)


def test_a_body_without_a_policy_version_is_rejected() -> None:
    with pytest.raises(ValueError, match="without a policy version"):
        read_weights(b"")
