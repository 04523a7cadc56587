"""Mean attenuation with distance."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from channel_server.radio.decibels import Floats, from_db


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
