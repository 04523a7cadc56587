"""Shadowing: its spread, and its correlation over the distance moved."""

import numpy as np
import pytest

from channel_server.radio.shadowing import Shadowing

LAW = Shadowing(std_db=3.0, decorrelation_m=10.0)


def test_the_correlation_falls_with_the_distance_and_the_spread_stays() -> None:
    rng = np.random.default_rng(1)
    start_db = moved_db = LAW.draw_db(rng, (100_000,))
    for steps in (1, 2, 3):
        moved_db = LAW.step_db(moved_db, 4.0, rng)
        assert np.corrcoef(start_db, moved_db)[0, 1] == pytest.approx(np.exp(-0.4 * steps), abs=0.01)
        assert moved_db.std() == pytest.approx(3.0, rel=0.02)
        assert moved_db.mean() == pytest.approx(0.0, abs=0.05)


def test_a_link_that_does_not_move_keeps_its_shadowing() -> None:
    rng = np.random.default_rng(2)
    start_db = LAW.draw_db(rng, (2, 3))
    moved_db = LAW.step_db(start_db, np.array([0.0, 5.0, 1e9]), rng)
    np.testing.assert_array_equal(moved_db[:, 0], start_db[:, 0])
    assert (moved_db[:, 1:] != start_db[:, 1:]).all()
