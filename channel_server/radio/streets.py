"""Vehicles on a grid of streets: the urban case of TR 36.885, A.1.2, on a torus so that no street ends.

Streets run along both axes, their centre lines one block apart. Traffic keeps to the right. Vehicles drop uniformly
over all lanes. Where a vehicle passes the centre line of a cross street it goes straight on, left or right, and takes
its new lane at once: corners are not driven round.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from channel_server.radio.decibels import Floats

Indices = npt.NDArray[np.int64]

_AXIS = np.array([0, 1, 0, 1])  # of the headings east, north, west, south
_SIGN = np.array([1.0, 1.0, -1.0, -1.0])
_SIDE = np.array([-1.0, 1.0, 1.0, -1.0])  # of the centre line, across the heading


class Vehicles(NamedTuple):
    """Positions [E, n, 2] in m; headings 0 east, 1 north, 2 west, 3 south and lanes, 0 the innermost, [E, n]."""

    position_m: Floats
    heading: Indices
    lane: Indices


@dataclass(frozen=True)
class ManhattanStreets:
    """`blocks` along x and y; `block_m` their size between centre lines; `lanes` per direction, `lane_m` wide."""

    blocks: tuple[int, int] = (3, 3)
    block_m: tuple[float, float] = (250.0, 433.0)
    lanes: int = 2
    lane_m: float = 3.5
    left: float = 0.25  # probability of a turn at a crossing
    right: float = 0.25

    @property
    def size_m(self) -> Floats:
        """Of the whole grid along x and y, [2]."""
        return np.multiply(self.blocks, self.block_m)

    def drop(self, rng: np.random.Generator, replicas: int, vehicles: int) -> Vehicles:
        """Vehicles uniform over all lanes."""
        shape = (replicas, vehicles)
        lane_length_m = self.size_m * self.blocks[::-1]  # of all streets along x, along y
        along_y = rng.random(shape) < lane_length_m[1] / lane_length_m.sum()
        heading = along_y + 2 * rng.integers(0, 2, shape)
        lane = rng.integers(0, self.lanes, shape)
        axis = _AXIS[heading]
        along_m = rng.random(shape) * self.size_m[axis]
        street = np.floor(rng.random(shape) * np.array(self.blocks)[1 - axis])
        return Vehicles(self._placed(heading, lane, along_m, street * self._block_m(1 - axis)), heading, lane)

    def move(self, vehicles: Vehicles, moved_m: float | Floats, rng: np.random.Generator) -> Vehicles:
        """Vehicles `moved_m` further, less than the shorter block; it broadcasts against [E, n]."""
        position_m, heading, lane = vehicles
        axis, sign = _AXIS[heading], _SIGN[heading]
        block_m = self._block_m(axis)
        along_m = sign * np.take_along_axis(position_m, axis[..., None], -1)[..., 0]
        reached_m = along_m + moved_m
        crossing = np.floor(reached_m / block_m)  # of the centre lines, counted in the vehicle's direction
        passes = crossing > np.floor(along_m / block_m)
        drawn = rng.random(heading.shape)  # for all, so that no draw depends on where vehicles are
        turn = np.where(drawn < self.left, 1, np.where(drawn < self.left + self.right, -1, 0))
        turns = passes & (turn != 0)

        street_m = self._centre_m(position_m, 1 - axis)  # of the street that the vehicle comes from
        new_heading = np.where(turns, (heading + turn) % 4, heading)
        turned_m = street_m + _SIGN[new_heading] * (reached_m - crossing * block_m)
        new_along_m = np.where(turns, turned_m, sign * reached_m)
        new_street_m = np.where(turns, sign * crossing * block_m, street_m)
        return Vehicles(self._placed(new_heading, lane, new_along_m, new_street_m), new_heading, lane)

    def apart_m(self, origins_m: Floats, targets_m: Floats) -> Floats:
        """The shortest way from every origin [E, n, 2] to every target [E, m, 2] along x and y: [E, n, m, 2]."""
        apart_m = targets_m[..., None, :, :] - origins_m[..., :, None, :]
        return np.asarray(apart_m - self.size_m * np.round(apart_m / self.size_m))

    def _block_m(self, axis: Indices) -> Floats:
        return np.array(self.block_m)[axis]

    def _centre_m(self, position_m: Floats, axis: Indices) -> Floats:
        """The centre line of the street that a vehicle is on, across it."""
        across_m = np.take_along_axis(position_m, axis[..., None], -1)[..., 0]
        return np.round(across_m / self._block_m(axis)) * self._block_m(axis)

    def _placed(self, heading: Indices, lane: Indices, along_m: Floats, street_m: Floats) -> Floats:
        """Positions [E, n, 2] at `along_m` along the streets whose centre lines are at `street_m`."""
        across_m = street_m + _SIDE[heading] * self.lane_m * (lane + 0.5)
        east_west = _AXIS[heading] == 0
        x, y = np.where(east_west, along_m, across_m), np.where(east_west, across_m, along_m)
        return np.asarray(np.stack([x, y], axis=-1) % self.size_m)
