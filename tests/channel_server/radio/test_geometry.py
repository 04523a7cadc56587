"""Positions and distances."""

import numpy as np
import pytest

from channel_server.radio.geometry import distances_m, nearest, uniform_in_disc


def test_points_are_uniform_over_the_area() -> None:
    points_m = uniform_in_disc(np.random.default_rng(1).random((20_000, 2)), 500.0)
    share_of_area = (np.hypot(*points_m.T) / 500.0) ** 2  # uniform in [0, 1) for a uniform drop
    np.testing.assert_allclose(np.quantile(share_of_area, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.015)
    assert share_of_area.max() < 1
    np.testing.assert_allclose(points_m.mean(axis=0), 0, atol=500 / 2 / np.sqrt(20_000) * 4)


def test_distances_go_from_origins_to_targets() -> None:
    origins_m = np.array([[[0.0, 0.0], [3.0, 0.0]]])
    targets_m = np.array([[[0.0, 4.0]]])
    assert distances_m(origins_m, targets_m).tolist() == [[[4.0], [5.0]]]


@pytest.mark.parametrize(("count", "expected"), [(1, ((1,), (0,), (1,))), (2, ((1, 2), (0, 2), (0, 1))), (9, None)])
def test_nearest_excludes_the_node_itself(count: int, expected: tuple[tuple[int, ...], ...] | None) -> None:
    line_m = np.array([0.0, 1.0, 3.0])
    found = nearest(np.abs(line_m[:, None] - line_m), count)
    assert found == (expected or ((1, 2), (0, 2), (0, 1)))
