"""Running statistics against those of all values at once."""

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from schemes.parts.nn.value_norm import ValueNorm


@given(st.lists(st.integers(0, 6), min_size=1, max_size=5), st.integers(0, 100))
def test_statistics_are_those_of_everything_so_far(sizes: list[int], seed: int) -> None:
    rng, norm = np.random.default_rng(seed), ValueNorm()
    everything: list[float] = []
    for size in sizes:
        values = 50 + 7 * rng.standard_normal(size)
        norm.update(torch.tensor(values))
        everything += values.tolist()
    if everything:
        np.testing.assert_allclose(norm.mean, np.mean(everything), rtol=1e-9)
        np.testing.assert_allclose(norm.deviation, max(0.01, float(np.std(everything))), rtol=1e-6)
    other = ValueNorm()
    other.restore(norm.snapshot())
    x = torch.tensor([48.0, 51.0])
    torch.testing.assert_close(other.denormalise(norm.normalise(x)), x)


def test_nothing_changes_before_the_first_update() -> None:
    x = torch.tensor([3.0])
    assert ValueNorm().normalise(x) == x
