"""Our Hungarian method against scipy's."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from schemes.parts.solvers.assignment import assign
from schemes.parts.solvers.interference import Floats, Indices


def total(costs: Floats, columns: Indices) -> Floats:
    return np.asarray(np.take_along_axis(costs, columns[..., None], axis=2).sum(axis=(1, 2)))


@given(st.integers(0, 2**31), st.integers(1, 7), st.integers(0, 4), st.booleans())
def test_the_cost_is_the_least(seed: int, n: int, spare: int, ties: bool) -> None:
    rng = np.random.default_rng(seed)
    shape = (5, n, n + spare)
    costs = rng.integers(-2, 3, shape).astype(float) if ties else rng.normal(size=shape) * 10.0
    columns = assign(costs)
    assert all(len(set(each)) == n for each in columns.tolist())
    least = [each[linear_sum_assignment(each)].sum() for each in costs]
    np.testing.assert_allclose(total(costs, columns), least, rtol=1e-12, atol=1e-12)


def test_scales_may_differ_widely() -> None:
    costs = 10 ** np.random.default_rng(1).uniform(-8, 8, (20, 6, 6))
    least = [each[linear_sum_assignment(each)].sum() for each in costs]
    np.testing.assert_allclose(total(costs, assign(costs)), least, rtol=1e-9)


def test_more_rows_than_columns_are_refused() -> None:
    with pytest.raises(ValueError, match="transpose"):
        assign(np.zeros((1, 3, 2)))
