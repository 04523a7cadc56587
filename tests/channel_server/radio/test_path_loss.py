"""Path loss against known distances and drops; decibels."""

import numpy as np
import pytest

from channel_server.radio.decibels import from_db, from_dbm, to_db, to_dbm
from channel_server.radio.geometry import uniform_in_disc
from channel_server.radio.path_loss import PathLoss


def test_the_cellular_law_of_3gpp_at_known_distances() -> None:
    law = PathLoss(128.1, 37.6, 1.0)
    assert law.loss_db(1000.0) == pytest.approx(128.1)
    assert law.loss_db(100.0) == pytest.approx(90.5)
    assert law.gain(100.0) == pytest.approx(10**-9.05)


def test_the_loss_is_clamped_near_the_antenna() -> None:
    law = PathLoss(148.0, 40.0, 3.0)
    assert law.loss_db(0.0) == law.loss_db(3.0) < law.loss_db(3.1)


def test_the_spread_over_a_disc_is_that_of_a_drop() -> None:
    law = PathLoss(128.1, 37.6, 1e-6)
    points_m = uniform_in_disc(np.random.default_rng(2).random((50_000, 2)), 500.0)
    losses_db = law.loss_db(np.hypot(*points_m.T))
    assert law.spread_over_disc_db(500.0) == pytest.approx((losses_db.mean(), losses_db.std()), rel=0.02)


def test_decibels_and_back() -> None:
    assert from_dbm(46.0) == pytest.approx(39.81, rel=1e-3)
    assert to_dbm(from_dbm(13.0)) == pytest.approx(13.0)
    assert to_db(from_db(-3.0)) == pytest.approx(-3.0)
