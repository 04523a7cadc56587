"""The drop: where APs and devices stand, who serves whom, path gains, and which cells are neighbours.

Positions are plane coordinates in metres. A network has an edge: the cells of the outer ring have fewer neighbours.
"""

from collections.abc import Callable
from functools import cached_property
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from channel_server.radio.decibels import Floats, from_db
from channel_server.radio.geometry import distances_m
from channel_server.radio.layouts import hexagonal_m, uniform_in_hexagon_m
from channel_server.radio.path_loss import PathLoss
from channel_server.worlds.traffic_cells.params import MAX_DEVICES, TrafficCells
from protocol.determinism.rng import CounterRng

Indices = npt.NDArray[np.int64]

_FEWEST, _MOST = 2 / 3, 5 / 3  # devices of a cell in the random drop, of the mean: 2 to 5 of 3 (IV-A)
_TRIES = 10_000
_SAME = 0.01  # sites nearer than this along x and y, in R, are one


class Drop:
    """Fixed by the seed, the same in all replicas, for agents keep their devices and neighbours.

    `sites_m` [K, 2]; `devices_m` [N, 2], cell by cell; `cell` [N]: the AP b_n of each device; `own`: each AP's devices.
    """

    def __init__(self, params: TrafficCells, rng: CounterRng) -> None:
        self._params = params
        draw = _hexagonal if params.drop == "hexagonal" else _random
        self.sites_m, devices_m, cell = draw(params, rng)
        order = np.argsort(cell, kind="stable")
        self.devices_m, self.cell = devices_m[order], cell[order]
        bounds = np.searchsorted(self.cell, np.arange(len(self.sites_m) + 1)).tolist()
        self.own = tuple(slice(first, after) for first, after in pairwise(bounds))

    @property
    def counts(self) -> list[int]:
        """By AP, the number of its devices."""
        return [own.stop - own.start for own in self.own]

    @cached_property
    def path_gain(self) -> Floats:
        """alpha from each AP to each device, linear, [K, N]."""
        params = self._params
        loss = PathLoss(params.path_loss_intercept_db, params.path_loss_slope_db, params.min_distance_m)
        return loss.gain(distances_m(self.sites_m, self.devices_m))

    @cached_property
    def neighbours(self) -> tuple[tuple[int, ...], ...]:
        """By AP, the others whose path gain at one of its devices comes near its own, and those at whose devices its
        own path gain does."""
        serving = self.path_gain[self.cell, np.arange(len(self.cell))]  # [N]
        strong = self.path_gain > serving * from_db(-self._params.neighbour_margin_db)  # [K, N]
        near = np.stack([strong[:, own].any(axis=1) for own in self.own])  # [K (served), K]
        near |= near.T
        np.fill_diagonal(near, val=False)
        return tuple(tuple(np.flatnonzero(row).tolist()) for row in near)


def _hexagonal(params: TrafficCells, rng: CounterRng) -> tuple[Floats, Floats, Indices]:
    """Sites, devices and the cell of each: as many devices in every hexagon, uniform over its area."""
    spacing_m = float(np.sqrt(3) * params.radius_m)
    sites_m = hexagonal_m(params.rings, spacing_m)
    cell = np.repeat(np.arange(len(sites_m)), params.devices_per_cell)

    def offset_m(uniform: Floats) -> Floats:
        return uniform_in_hexagon_m(uniform, spacing_m)

    return sites_m, _around(sites_m[cell], offset_m, sites_m, params.min_distance_m, rng.at(0)), cell


def _random(params: TrafficCells, rng: CounterRng) -> tuple[Floats, Floats, Indices]:
    """Sites off the lattice, as many devices in the R x R square around each; drawn again until each AP is the nearest
    one of a fitting number of devices."""
    radius_m, each = params.radius_m, params.devices_per_cell
    count = len(hexagonal_m(params.rings, 1.0))
    fewest, most = max(1, round(_FEWEST * each)), min(MAX_DEVICES, round(_MOST * each))

    def offset_m(uniform: Floats) -> Floats:
        return radius_m * (uniform - 0.5)

    for attempt in range(_TRIES):
        draws = rng.at(attempt)
        sites_m = _chained_sites_m(count, radius_m, draws)
        devices_m = _around(np.repeat(sites_m, each, axis=0), offset_m, sites_m, params.min_distance_m, draws)
        cell = distances_m(sites_m, devices_m).argmin(axis=0)
        counts = np.bincount(cell, minlength=len(sites_m))
        if counts.min() >= fewest and counts.max() <= most:
            return sites_m, devices_m, cell
    raise ValueError(f"in {_TRIES} random drops no AP serves {fewest} to {most} devices: take another drop_seed")


def _chained_sites_m(count: int, radius_m: float, rng: np.random.Generator) -> Floats:
    """The authors' rule, [K, 2]: round each site in turn six others at sqrt(3) R, each moved by up to R / 2 along x and
    y, until there are K.

    The moves add up along the chain, and the way back to a site leads beside it: some sites stand close together.
    """
    turns = np.pi / 3 * np.arange(6)
    steps_m = np.sqrt(3) * radius_m * np.stack([np.cos(turns), np.sin(turns)], axis=-1)
    sites_m = np.zeros((1, 2))
    for parent in range(count):
        for step_m in steps_m:
            if len(sites_m) == count:
                return sites_m
            site_m = sites_m[parent] + step_m + radius_m / 2 * rng.random(2)
            if not (np.abs(sites_m - site_m) < _SAME * radius_m).all(axis=1).any():
                sites_m = np.vstack([sites_m, site_m])
    return sites_m


def _around(
    centres_m: Floats,
    offset_m: Callable[[Floats], Floats],
    sites_m: Floats,
    min_distance_m: float,
    rng: np.random.Generator,
) -> Floats:
    """A place around each centre, [N, 2], drawn again where it lies too near to an AP."""
    places_m = centres_m.copy()
    pending = np.arange(len(centres_m))
    while len(pending):
        places_m[pending] = centres_m[pending] + offset_m(rng.random((len(pending), 2)))
        pending = pending[distances_m(sites_m, places_m[pending]).min(axis=0) < min_distance_m]
    return places_m
