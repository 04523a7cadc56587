"""Interquartile means and their intervals, against scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from controller.studies.aggregates import bootstrap_interval, interquartile_mean


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40))
def test_the_interquartile_mean_is_the_trimmed_mean_of_scipy(scores: list[float]) -> None:
    assert interquartile_mean(np.array(scores)) == pytest.approx(stats.trim_mean(scores, 0.25), abs=1e-9)


def test_the_interval_of_one_task_is_that_of_scipy() -> None:
    scores = np.random.default_rng(3).normal(5, 2, 30)
    low, high = bootstrap_interval(scores[:, None], np.random.default_rng(1))
    theirs = stats.bootstrap(
        (scores,),
        lambda x, axis: stats.trim_mean(x, 0.25, axis=axis),
        n_resamples=4000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert low == pytest.approx(theirs.low, abs=0.1)
    assert high == pytest.approx(theirs.high, abs=0.1)


def test_runs_are_resampled_within_their_task() -> None:
    """Without noise within a task nothing varies, however far the tasks lie apart."""
    scores = np.tile([0.0, 1.0, 7.0], (6, 1))
    low, high = bootstrap_interval(scores, np.random.default_rng(0))
    assert low == high == interquartile_mean(scores.reshape(-1))
