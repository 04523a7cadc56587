"""Positions of nodes and distances between them. Positions are plane coordinates in metres, [..., 2]."""

import numpy as np

from channel_server.radio.decibels import Floats


def uniform_in_disc(uniform: Floats, radius_m: float) -> Floats:
    """Points uniform over the area of a disc around the origin.

    `uniform`: independent numbers of [0, 1), [..., 2], so that one draw can place all nodes. Returns [..., 2] in m.
    """
    distance_m = radius_m * np.sqrt(uniform[..., 0])  # area grows with the square of the distance
    angle = 2 * np.pi * uniform[..., 1]
    return np.stack([distance_m * np.cos(angle), distance_m * np.sin(angle)], axis=-1)


def distances_m(origins_m: Floats, targets_m: Floats) -> Floats:
    """From every origin [E, n, 2] to every target [E, m, 2]: [E, n, m]."""
    apart_m = origins_m[..., :, None, :] - targets_m[..., None, :, :]
    return np.asarray(np.hypot(apart_m[..., 0], apart_m[..., 1]))


def nearest(distances_m: Floats, count: int) -> tuple[tuple[int, ...], ...]:
    """For each of n nodes the indices of its `count` nearest others, sorted by index. `distances_m`: [n, n]."""
    return tuple(tuple(sorted(others[:count])) for others in by_distance(distances_m))


def by_distance(distances_m: Floats) -> list[list[int]]:
    """For each of n nodes all others' indices, nearest first. `distances_m`: [n, n]."""
    others_m = np.where(np.eye(len(distances_m), dtype=bool), np.inf, distances_m)
    ranked: list[list[int]] = np.argsort(others_m, axis=1, kind="stable")[:, :-1].tolist()
    return ranked
