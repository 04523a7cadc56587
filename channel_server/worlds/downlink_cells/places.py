"""Where BSs stand and users are drawn, and the mean gains between them."""

from functools import cached_property

import numpy as np

from channel_server.radio.decibels import Floats, from_db, to_db
from channel_server.radio.fading import RAYLEIGH_MEAN_DB, RAYLEIGH_STD_DB
from channel_server.radio.geometry import distances_m, uniform_in_disc
from channel_server.radio.layouts import (
    hexagonal_m,
    uniform_in_hexagon_m,
    wraparound_shifts_m,
    wrapped_distances_m,
)
from channel_server.radio.path_loss import BoundedPowerLaw, PathLoss
from channel_server.worlds.downlink_cells.params import DownlinkCells
from protocol.determinism.rng import CounterRng

_TYPICAL_LINKS, _LINKS_AT_ONCE = 18_000, 1000  # links whose mean gains give `typical_db`, to about 0.2 dB


class Places:
    """`sites_m` [B, 2], the centre of the lattice first."""

    def __init__(self, params: DownlinkCells) -> None:
        self._params = params
        rings = next(r for r in range(4) if 3 * r * (r + 1) + 1 >= params.cells)
        self.sites_m = hexagonal_m(rings, params.spacing_m)[: params.cells]
        self._shifts_m = wraparound_shifts_m(rings, params.spacing_m)
        self._loss: BoundedPowerLaw | PathLoss = (
            BoundedPowerLaw(params.reference_m, params.exponent)
            if params.path_loss == "bounded"
            else PathLoss(params.intercept_db, 10 * params.exponent, params.min_distance_m)
        )

    def draw(self, rng: np.random.Generator, replicas: int) -> tuple[Floats, Floats]:
        """Users [E, B, K, 2] in m and mean gains [E, B (tx), B, K], linear, shadowing included."""
        params = self._params
        users_m = self._around_their_bs(rng, replicas) + self.sites_m[:, None]
        flat_m = users_m.reshape(replicas, -1, 2)
        if params.wraparound:
            apart_m = wrapped_distances_m(self.sites_m[None], flat_m, self._shifts_m)
        else:
            apart_m = distances_m(self.sites_m[None], flat_m)
        gain = self._loss.gain(apart_m).reshape(replicas, params.cells, params.cells, params.users)
        if params.shadowing_db > 0:
            gain = gain * from_db(params.shadowing_db * rng.standard_normal(gain.shape))
        return users_m, gain

    @cached_property
    def typical_db(self) -> dict[str, list[float]]:
        """Mean and standard deviation over places and fading of the gains in dB, of a BS to its `own` users and to
        `other` ones; the same for every seed."""
        rng, links = CounterRng(0, "typical gains").at(0), self._params.cells**2 * self._params.users
        at_once = 1 + _LINKS_AT_ONCE // links  # few, because the check of a configuration asks for this, too
        parts = [to_db(self.draw(rng, at_once)[1]) for _ in range(1 + _TYPICAL_LINKS // (links * at_once))]
        gain_db, own = np.concatenate(parts), np.eye(self._params.cells, dtype=bool)
        mean_db, std_db = (0.0, 0.0) if self._params.fading == "none" else (RAYLEIGH_MEAN_DB, RAYLEIGH_STD_DB)
        groups = {"own": gain_db[:, own], "other": gain_db[:, ~own] if self._params.cells > 1 else gain_db[:, own]}
        return {
            name: [float(values.mean() + mean_db), float(np.hypot(values.std(), std_db))]
            for name, values in groups.items()
        }

    def _around_their_bs(self, rng: np.random.Generator, replicas: int) -> Floats:
        """Users uniform over their cell around its BS at the origin, [E, B, K, 2]."""
        params = self._params
        uniform = rng.random((replicas, params.cells, params.users, 2))
        inner_m = params.min_distance_m
        if params.user_area == "disc":
            # uniform over the ring: the square of the distance is uniform
            share = (inner_m / params.radius_m) ** 2
            uniform[..., 0] = share + (1 - share) * uniform[..., 0]
            return uniform_in_disc(uniform, params.radius_m)
        placed_m = uniform_in_hexagon_m(uniform, params.spacing_m)
        while (near := np.hypot(placed_m[..., 0], placed_m[..., 1]) < inner_m).any():
            placed_m[near] = uniform_in_hexagon_m(rng.random((np.count_nonzero(near), 2)), params.spacing_m)
        return placed_m
