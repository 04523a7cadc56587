"""Decibels at the edges, linear inside."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]


def to_db(ratio: npt.ArrayLike) -> Floats:
    """10 log10 of a positive ratio [1] or power [W: the result is in dBW]; any shape."""
    return np.asarray(10.0 * np.log10(ratio))


def from_db(decibels: npt.ArrayLike) -> Floats:
    """The inverse of `to_db`."""
    return np.asarray(10.0 ** (np.asarray(decibels, float) / 10.0))


def to_dbm(power_w: npt.ArrayLike) -> Floats:
    """Power [W] to dBm."""
    return to_db(power_w) + 30.0


def from_dbm(power_dbm: npt.ArrayLike) -> Floats:
    """Power [dBm] to W."""
    return from_db(np.asarray(power_dbm, float) - 30.0)
