"""Snapshots: nested state with arrays there and back."""

from typing import Any

import numpy as np
import pytest

from protocol.determinism.snapshots import pack, unpack


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype="<f4").reshape(2, 3),
        np.zeros((0, 4)),
        np.array(3.5),
        np.array([1 + 2j, 3], np.complex128),
        np.array([(1, [2.0, 3.0])], [("a", "<i2"), ("b", "<f4", (2,))]),
    ],
)
def test_arrays_survive(array: np.ndarray[Any, Any]) -> None:
    restored = unpack(pack({"x": [array, 1, b"raw", None]}))["x"]
    assert restored[1:] == [1, b"raw", None]
    assert restored[0].dtype == array.dtype
    assert restored[0].shape == array.shape
    assert restored[0].tobytes() == array.tobytes()


def test_a_state_that_is_not_plain_is_rejected() -> None:
    with pytest.raises(NotImplementedError, match="cannot snapshot a object"):
        pack({"x": object()})
