"""Vehicles: always on a lane of their heading, turning as often as they should, as many on every street as at first."""

import numpy as np
import pytest

from channel_server.radio.streets import ManhattanStreets, Vehicles

STREETS = ManhattanStreets()


def check_on_lanes(vehicles: Vehicles) -> None:
    """Right of the centre line by the lane's offset, seen in the direction of the heading."""
    for (x, y), heading, lane in zip(
        vehicles.position_m.reshape(-1, 2), vehicles.heading.reshape(-1), vehicles.lane.reshape(-1), strict=True
    ):
        right_of = {0: -y, 1: x, 2: y, 3: -x}[int(heading)]
        street_m = 433.0 if heading in (0, 2) else 250.0
        assert right_of % street_m == pytest.approx(1.75 + 3.5 * lane, abs=1e-6)
        assert 0 <= x < 750
        assert 0 <= y < 1299


def test_vehicles_stay_on_lanes() -> None:
    rng = np.random.default_rng(1)
    vehicles = STREETS.drop(rng, 2, 200)
    check_on_lanes(vehicles)
    for moved_m in (10.0, 100.0, 249.0):
        vehicles = STREETS.move(vehicles, moved_m, rng)
        check_on_lanes(vehicles)


def test_density_is_uniform_over_the_lanes_and_stays_so() -> None:
    rng = np.random.default_rng(2)
    vehicles = STREETS.drop(rng, 1, 40_000)
    for _ in range(2):
        share = np.bincount(vehicles.heading[0], minlength=4) / 40_000
        np.testing.assert_allclose(share, [375 / 2049, 649.5 / 2049] * 2, atol=0.01)  # lengths of the lanes
        along_m = vehicles.position_m[0, vehicles.heading[0] == 1, 1]
        np.testing.assert_allclose(np.quantile(along_m / 1299, [0.25, 0.5, 0.75]), [0.25, 0.5, 0.75], atol=0.015)
        street = np.round(vehicles.position_m[0, vehicles.heading[0] == 1, 0] / 250)
        np.testing.assert_allclose(np.bincount(street.astype(int)) / len(street), np.full(3, 1 / 3), atol=0.015)
        for _ in range(40):
            vehicles = STREETS.move(vehicles, 60.0, rng)


def test_a_quarter_turns_left_and_a_quarter_right_at_a_crossing() -> None:
    n = 40_000
    north = Vehicles(np.tile([251.75, 400.0], (1, n, 1)), np.full((1, n), 1), np.zeros((1, n), int))
    moved = STREETS.move(north, 50.0, np.random.default_rng(3))
    shares = np.bincount(moved.heading[0], minlength=4) / n
    np.testing.assert_allclose(shares, [0.25, 0.5, 0.25, 0.0], atol=0.01)
    ends_m = {0: [267.0, 431.25], 1: [251.75, 450.0], 2: [233.0, 434.75]}  # 33 m to the crossing, 17 m after it
    for heading, end_m in ends_m.items():
        found_m = moved.position_m[0, moved.heading[0] == heading]
        np.testing.assert_allclose(found_m, np.tile(end_m, (len(found_m), 1)), atol=1e-9)


def test_between_crossings_everybody_goes_straight_on_by_its_own_way() -> None:
    lanes = np.zeros((1, 4), int)
    start = Vehicles(
        np.array([[[50.0, 864.25], [1.75, 50.0], [50.0, 1.75], [748.25, 500.0]]]), np.arange(4)[None], lanes
    )
    moved = STREETS.move(start, np.array([[1.0, 2.0, 3.0, 4.0]]), np.random.default_rng(4))
    assert moved.heading.tolist() == [[0, 1, 2, 3]]
    np.testing.assert_allclose(moved.position_m[0], [[51, 864.25], [1.75, 52], [47, 1.75], [748.25, 496]])


def test_the_shortest_way_goes_over_the_edge() -> None:
    apart_m = STREETS.apart_m(np.array([[[10.0, 10.0]]]), np.array([[[740.0, 20.0], [300.0, 1290.0]]]))
    np.testing.assert_allclose(apart_m, [[[[-20, 10], [290, -19]]]])
