"""Powers, noise and path losses of the cell: the parameters' decibels, made linear once."""

from dataclasses import dataclass

import numpy as np

from channel_server.radio import fading
from channel_server.radio.decibels import Floats, from_db, from_dbm, to_dbm
from channel_server.radio.path_loss import PathLoss
from channel_server.radio.sinr import thermal_noise_w
from channel_server.worlds.d2d_underlay.params import D2DUnderlay


@dataclass(frozen=True)
class CellLinkBudget:
    """Linear powers and thresholds."""

    bs_power_w: float  # Pb on each RB
    d2d_powers_w: Floats  # Pd [levels], the full power first
    noise_w: float  # sigma^2
    cue_threshold: float
    d2d_threshold: float

    @classmethod
    def of(cls, params: D2DUnderlay) -> "CellLinkBudget":
        share = params.rbs if params.bs_power_split == "total" else 1
        steps_db = params.power_step_db * np.arange(params.power_levels)
        return cls(
            bs_power_w=float(from_dbm(params.bs_power_dbm)) / share,
            d2d_powers_w=from_dbm(params.d2d_power_dbm - steps_db),
            noise_w=thermal_noise_w(params.noise_density_dbm_hz, params.rb_width_hz, params.noise_figure_db),
            cue_threshold=float(from_db(params.cue_threshold_db)),
            d2d_threshold=float(from_db(params.d2d_threshold_db)),
        )


def path_losses(params: D2DUnderlay) -> tuple[PathLoss, PathLoss]:
    """The path loss of links from the BS, and of links from D2D transmitters to any receiver."""
    carrier_db = 21 * np.log10(params.carrier_hz / 2e9)  # 3GPP TR 36.942, 4.5.2
    cellular = PathLoss(params.cellular_intercept_db + carrier_db, params.cellular_slope_db, params.min_bs_distance_m)
    d2d = PathLoss(params.d2d_intercept_db + carrier_db, 10 * params.d2d_exponent, params.min_d2d_distance_m)
    return cellular, d2d


def typical_db(params: D2DUnderlay, budget: CellLinkBudget) -> dict[str, list[float]]:
    """[mean, standard deviation] of an observation's fields over drops and fading; interference of the BS alone.

    In the layout `compact` the BS gain is the mean over the RBs, which hardly fades.
    """
    cellular, d2d = path_losses(params)
    bs_loss, bs_spread = cellular.spread_over_disc_db(params.radius_m)
    own_loss, own_spread = d2d.spread_over_disc_db(params.max_pair_distance_m)
    fades = params.fading == "rayleigh"
    mean_db, std_db = (fading.RAYLEIGH_MEAN_DB, fading.RAYLEIGH_STD_DB) if fades else (0.0, 0.0)
    spread = float(np.hypot(bs_spread, std_db))
    return {
        "own_gain_db": [mean_db - own_loss, float(np.hypot(own_spread, std_db))],
        "bs_gain_db": [mean_db - bs_loss, spread] if params.observation == "per_rb" else [-bs_loss, bs_spread],
        "interference_dbm": [float(to_dbm(budget.bs_power_w)) + mean_db - bs_loss, spread],
    }
