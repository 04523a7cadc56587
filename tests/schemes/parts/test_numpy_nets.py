"""The numpy perceptron against a slow loop."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemes.parts.numpy_nets import Mlp, draw_mlp


@given(st.lists(st.integers(1, 12), min_size=2, max_size=4), st.integers(1, 3), st.integers(0, 1000))
def test_a_pass_equals_a_slow_loop(sizes: list[int], replicas: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights = draw_mlp(rng, sizes)
    x = rng.standard_normal((replicas, sizes[0])).astype(np.float32)
    slow = []
    for row in x.tolist():
        values = row
        for layer in range(len(sizes) - 1):
            w, b = weights[f"{2 * layer}.weight"].tolist(), weights[f"{2 * layer}.bias"].tolist()
            values = [sum(a * v for a, v in zip(line, values, strict=True)) + c for line, c in zip(w, b, strict=True)]
            if layer < len(sizes) - 2:
                values = [max(v, 0.0) for v in values]
        slow.append(values)
    fast = Mlp(weights)(x)
    assert fast.dtype == np.float32
    np.testing.assert_allclose(fast, slow, rtol=1e-3, atol=1e-5)


def test_weights_follow_from_the_generator_and_stay_within_bounds() -> None:
    first, second = (draw_mlp(np.random.default_rng(3), (16, 512, 128, 4)) for _ in range(2))
    assert list(first) == ["0.weight", "0.bias", "2.weight", "2.bias", "4.weight", "4.bias"]
    assert all((first[name] == second[name]).all() for name in first)
    assert first["0.weight"].shape == (512, 16)
    assert np.abs(first["0.weight"]).max() <= 0.25
    assert first["0.weight"].std() == pytest.approx(0.25 / np.sqrt(3), rel=0.03)


def test_more_than_ten_layers_keep_their_order() -> None:
    sizes = tuple(range(2, 15))
    net = Mlp(dict(sorted(draw_mlp(np.random.default_rng(1), sizes).items())))
    assert (net.inputs, net.outputs) == (2, 14)
    assert net(np.ones((1, 2), np.float32)).shape == (1, 14)


def test_no_layers_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"expected 0\.weight"):
        Mlp({})
