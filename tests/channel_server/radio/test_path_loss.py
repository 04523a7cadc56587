"""Path loss against known distances and drops; decibels."""

import numpy as np
import pytest

from channel_server.radio.decibels import from_db, from_dbm, to_db, to_dbm
from channel_server.radio.geometry import uniform_in_disc
from channel_server.radio.path_loss import BoundedPowerLaw, PathLoss, WinnerB1


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


def test_the_bounded_power_law_is_that_of_3gpp_far_away() -> None:
    """khan2020: d0 = 0.3920 m, so that exponent 3.76 equals 128.1 + 37.6 log10(d / km)."""
    law, of_3gpp = BoundedPowerLaw(0.3920, 3.76), PathLoss(128.1, 37.6, 1.0)
    distances_m = np.array([300.0, 1000.0, 3000.0])
    np.testing.assert_allclose(law.loss_db(distances_m), of_3gpp.loss_db(distances_m), atol=0.03)
    assert law.loss_db(1e7) == pytest.approx(of_3gpp.loss_db(1e7), abs=0.01)
    assert law.gain(0.0) == 1.0
    assert law.gain(0.3920) == pytest.approx(2**-3.76)


VEHICLES = WinnerB1(carrier_ghz=2.0, heights_m=(1.5, 1.5), min_distance_m=3.0, street_m=14.0)


def test_the_line_of_sight_of_vehicles_at_known_distances() -> None:
    # 22.7 log10(d) + 27.0 + 20 log10(f), WINNER+ D5.3, to the breakpoint 4 * 0.5 * 0.5 * 2e9 / 3e8 = 6.67 m
    assert VEHICLES.line_of_sight_db(5.0) == pytest.approx(22.7 * np.log10(5) + 27.0 + 20 * np.log10(2), abs=0.03)
    # 40 log10(d) + 7.56 - 17.3 log10(h1') - 17.3 log10(h2') + 2.7 log10(f), the same report
    expected_db = 40 * np.log10(100) + 7.56 - 2 * 17.3 * np.log10(0.5) + 2.7 * np.log10(2)
    assert VEHICLES.line_of_sight_db(100.0) == pytest.approx(expected_db, abs=0.01)
    assert VEHICLES.line_of_sight_db(0.0) == VEHICLES.line_of_sight_db(3.0) < VEHICLES.line_of_sight_db(3.1)


@pytest.mark.parametrize("carrier_ghz", [2.0, 5.9])
def test_the_line_of_sight_has_no_step_at_the_breakpoint(carrier_ghz: float) -> None:
    law = WinnerB1(carrier_ghz, heights_m=(1.5, 1.5), min_distance_m=3.0, street_m=14.0)
    breakpoint_m = carrier_ghz * 1e9 / 3e8
    assert law.line_of_sight_db(breakpoint_m * 1.001) - law.line_of_sight_db(breakpoint_m * 0.999) < 0.1


def test_around_a_corner_by_hand() -> None:
    n = 2.8 - 0.0024 * 100
    expected_db = VEHICLES.line_of_sight_db(100.0) + 20 - 12.5 * n + 10 * n * np.log10(50) + 3 * np.log10(0.4)
    assert VEHICLES.around_corner_db(100.0, 50.0) == pytest.approx(expected_db)
    assert VEHICLES.around_corner_db(500.0, 50.0) == pytest.approx(
        VEHICLES.line_of_sight_db(500.0) + 20 - 12.5 * 1.84 + 18.4 * np.log10(50) + 3 * np.log10(0.4)
    )


def test_streets_decide_who_sees_whom() -> None:
    apart_m = np.array([[100.0, 14.0], [-100.0, 50.0], [50.0, 100.0], [5.0, -300.0]])
    corner_db = min(VEHICLES.around_corner_db(100.0, 50.0), VEHICLES.around_corner_db(50.0, 100.0))
    straight_db = [VEHICLES.line_of_sight_db(np.hypot(100, 14)), VEHICLES.line_of_sight_db(np.hypot(300, 5))]
    expected_db = [straight_db[0], corner_db, corner_db, straight_db[1]]
    np.testing.assert_allclose(VEHICLES.loss_db(apart_m), np.array(expected_db, float))
    assert corner_db > straight_db[0]
