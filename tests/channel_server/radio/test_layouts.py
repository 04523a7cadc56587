"""Cells: how many, how far apart, and no edge with wraparound."""

import numpy as np
import pytest

from channel_server.radio import layouts
from channel_server.radio.geometry import distances_m

RINGS = pytest.mark.parametrize(("rings", "cells"), [(0, 1), (1, 7), (2, 19), (3, 37)])
SPACING_M = 866.0


@RINGS
def test_cells_stand_on_a_lattice_ring_by_ring(rings: int, cells: int) -> None:
    sites_m = layouts.hexagonal_m(rings, SPACING_M)
    apart_m = distances_m(sites_m, sites_m)
    assert sites_m.shape == (cells, 2)
    assert apart_m[~np.eye(cells, dtype=bool)].min(initial=SPACING_M) == pytest.approx(SPACING_M)
    # lattice coordinates (i, j), sites at spacing (i + j / 2, j sqrt(3) / 2), are whole and within the rings
    j = sites_m[:, 1] / (SPACING_M * np.sqrt(3) / 2)
    i = sites_m[:, 0] / SPACING_M - j / 2
    whole = np.round(np.stack([i, j, i + j]))
    np.testing.assert_allclose(np.stack([i, j, i + j]), whole, atol=1e-9)
    assert np.abs(whole).max(axis=0).tolist() == sorted(np.abs(whole).max(axis=0)) == [
        ring for ring in range(rings + 1) for _ in range(max(1, 6 * ring))
    ]  # fmt: skip


@RINGS
def test_with_wraparound_every_cell_sees_the_same_network(rings: int, cells: int) -> None:
    sites_m, shifts_m = layouts.hexagonal_m(rings, SPACING_M), layouts.wraparound_shifts_m(rings, SPACING_M)
    wrapped_m = layouts.wrapped_distances_m(sites_m, sites_m, shifts_m)
    np.testing.assert_allclose(wrapped_m, wrapped_m.T)
    np.testing.assert_allclose(np.sort(wrapped_m), np.sort(wrapped_m)[:1].repeat(cells, 0), atol=1e-9)
    assert (np.isclose(wrapped_m, SPACING_M).sum(axis=1) == (6 if cells > 1 else 0)).all()


@RINGS
def test_the_copies_tile_the_plane(rings: int, cells: int) -> None:
    shifts_m = layouts.wraparound_shifts_m(rings, SPACING_M)
    a, b = shifts_m[1], shifts_m[2]
    assert abs(a[0] * b[1] - a[1] * b[0]) == pytest.approx(cells * SPACING_M**2 * np.sqrt(3) / 2)  # area per copy
    sites_m = layouts.hexagonal_m(rings, SPACING_M)
    copies_m = (sites_m + shifts_m[:, None]).reshape(-1, 2)
    assert distances_m(copies_m, copies_m)[~np.eye(7 * cells, dtype=bool)].min() > SPACING_M * 0.999


@pytest.mark.parametrize("rings", [1, 2])
def test_seven_copies_have_the_nearest_one(rings: int) -> None:
    rng = np.random.default_rng(rings)
    sites_m, shifts_m = layouts.hexagonal_m(rings, SPACING_M), layouts.wraparound_shifts_m(rings, SPACING_M)
    users_m = sites_m[None] + layouts.uniform_in_hexagon_m(rng.random((300, len(sites_m), 2)), SPACING_M)
    wrapped_m = layouts.wrapped_distances_m(np.broadcast_to(sites_m, users_m.shape), users_m, shifts_m)
    steps = [i * shifts_m[1] + j * shifts_m[2] for i in range(-3, 4) for j in range(-3, 4)]
    all_m = np.min([distances_m(np.broadcast_to(sites_m, users_m.shape), users_m + step) for step in steps], axis=0)
    np.testing.assert_allclose(wrapped_m, all_m)
    assert (wrapped_m.argmin(axis=1) == np.arange(len(sites_m))).all()  # a user's nearest site is its own


def test_points_are_uniform_in_a_hexagonal_cell() -> None:
    points_m = layouts.uniform_in_hexagon_m(np.random.default_rng(1).random((60_000, 2)), SPACING_M)
    toward = np.stack([np.cos(np.arange(6) * np.pi / 3), np.sin(np.arange(6) * np.pi / 3)])
    outward = (points_m @ toward).max(axis=1) / (SPACING_M / 2)  # the size of the hexagon through a point
    np.testing.assert_allclose(np.quantile(outward**2, [0.1, 0.5, 0.9]), [0.1, 0.5, 0.9], atol=0.015)
    assert outward.max() <= 1 + 1e-12
    side = (points_m @ toward).argmax(axis=1)
    np.testing.assert_allclose(np.bincount(side) / len(side), np.full(6, 1 / 6), atol=0.01)


def test_a_grid_is_centred_and_in_rows() -> None:
    assert layouts.grid_m(2, 3, 10.0).tolist() == [[-10, -5], [0, -5], [10, -5], [-10, 5], [0, 5], [10, 5]]
