"""Mean attenuation with distance."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from channel_server.radio.decibels import Floats, from_db, to_db


@dataclass(frozen=True)
class PathLoss:
    """intercept_db + slope_db log10(d / km); below `min_distance_m` the loss is that at `min_distance_m`."""

    intercept_db: float
    slope_db: float
    min_distance_m: float

    def loss_db(self, distance_m: npt.ArrayLike) -> Floats:
        """Loss in dB, of the shape of the distances."""
        clamped_km = np.maximum(distance_m, self.min_distance_m) / 1000.0
        return np.asarray(self.intercept_db + self.slope_db * np.log10(clamped_km))

    def gain(self, distance_m: npt.ArrayLike) -> Floats:
        """Mean power gain, linear."""
        return from_db(-self.loss_db(distance_m))

    def spread_over_disc_db(self, radius_m: float) -> tuple[float, float]:
        """Mean and standard deviation of the loss at a point uniform in a disc around the origin, unclamped.

        log10 of the distance is log10(radius) less an exponential variable of mean 1 / (2 ln 10).
        """
        decades = 1 / (2 * np.log(10))
        return float(self.loss_db(radius_m) - self.slope_db * decades), float(self.slope_db * decades)


@dataclass(frozen=True)
class BoundedPowerLaw:
    """Gain (1 + d / d0)^-alpha, 1 at the antenna (khan2020 sec. II). `reference_m` d0, `exponent` alpha."""

    reference_m: float
    exponent: float

    def gain(self, distance_m: npt.ArrayLike) -> Floats:
        """Mean power gain, linear, of the shape of the distances."""
        return np.asarray((1.0 + np.asarray(distance_m, float) / self.reference_m) ** -self.exponent)

    def loss_db(self, distance_m: npt.ArrayLike) -> Floats:
        """Loss in dB."""
        return -to_db(self.gain(distance_m))


@dataclass(frozen=True)
class WinnerB1:
    """Streets of a city between buildings: WINNER II, table 4-4, scenario B1 (TR 36.885 A.1.4 for vehicles).

    `heights_m`: of both antennas, above 1 m; the equations take 1 m less, for the traffic around them. Below
    `min_distance_m` the loss is that at `min_distance_m`. Ends that lie `street_m` or less apart along x or along y are
    on one street. TR 36.885 has heights of (1.5, 1.5) and 3 m.
    """

    carrier_ghz: float
    heights_m: tuple[float, float]
    min_distance_m: float
    street_m: float

    def loss_db(self, apart_m: Floats) -> Floats:
        """From the way along x and along y between two ends, [..., 2], streets along both: [...] in dB.

        Line of sight on one street; else the better of the two ways around one corner.
        """
        along_m, across_m = np.abs(apart_m[..., 0]), np.abs(apart_m[..., 1])
        on_one_street = np.minimum(along_m, across_m) <= self.street_m
        around_db = np.minimum(self.around_corner_db(along_m, across_m), self.around_corner_db(across_m, along_m))
        return np.where(on_one_street, self.line_of_sight_db(np.hypot(along_m, across_m)), around_db)

    def line_of_sight_db(self, distance_m: npt.ArrayLike) -> Floats:
        """In dB: 22.7 log10(d) + 41 + 20 log10(f / 5), and 40 log10(d) + ... from the breakpoint 4 h1 h2 f / c on."""
        clamped_m = np.maximum(distance_m, self.min_distance_m)
        first, second = (height_m - 1.0 for height_m in self.heights_m)
        breakpoint_m = 4 * first * second * self.carrier_ghz * 1e9 / 3e8
        near_db = 22.7 * np.log10(clamped_m) + 41.0 + 20 * np.log10(self.carrier_ghz / 5)
        heights_db = 9.45 - 17.3 * np.log10(first) - 17.3 * np.log10(second)
        far_db = 40 * np.log10(clamped_m) + heights_db + 2.7 * np.log10(self.carrier_ghz / 5)
        return np.asarray(np.where(clamped_m < breakpoint_m, near_db, far_db))

    def around_corner_db(self, first_m: npt.ArrayLike, second_m: npt.ArrayLike) -> Floats:
        """In dB, d1 along one street, d2 along the next: LOS(d1) + 20 - 12.5 n + 10 n log10(d2) + 3 log10(f / 5)."""
        first_m, second_m = np.asarray(first_m, float), np.maximum(second_m, self.min_distance_m)
        n = np.maximum(2.8 - 0.0024 * first_m, 1.84)
        corner_db = 20 - 12.5 * n + 10 * n * np.log10(second_m) + 3 * np.log10(self.carrier_ghz / 5)
        return np.asarray(self.line_of_sight_db(first_m) + corner_db)
