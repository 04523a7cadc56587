"""The parameters of zhang2025's cellular network, and the numbers that follow from them."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le

from channel_server.radio.decibels import Floats, from_db, from_dbm
from channel_server.radio.fading import jakes_correlation
from protocol.params import param

MAX_DEVICES = 100  # of a cell: a device's number fits one byte


@dataclass(frozen=True)
class Preset:
    """What zhang2025 and its authors' published program have differently."""

    subband_hz: float
    power_levels: int
    fading_power: float  # mean of |h|^2


PRESETS = {
    "paper": Preset(subband_hz=20e6, power_levels=6, fading_power=1.0),  # table I; below eq. (11)
    "code": Preset(subband_hz=10e6, power_levels=5, fading_power=4 / np.pi),  # there the mean of |h| is 1
}


@dataclass(frozen=True)
class TrafficCells:
    """Places, radio and traffic. What is none by default is taken from the `preset`."""

    preset: Literal["paper", "code"] = param(
        "paper",
        "where the text and the authors' program differ: paper: 20 MHz, 6 powers, E|h|^2 = 1; code: 10 MHz, 5 powers, "
        "E|h|^2 = 4 / pi",
        source="zhang2025 table I; authors' code",
    )
    drop: Literal["hexagonal", "random"] = param(
        "hexagonal",
        "hexagonal: equal cells; random: sites off the lattice, devices in squares around, served by the nearest AP",
        source="zhang2025 IV-A, fig. 6",
    )
    drop_seed: Annotated[int, Ge(0)] | None = param(
        None, "draws the places; none: the run's seed, so that each seed is another network", source="ours"
    )
    rings: Annotated[int, Ge(0), Le(6)] = param(
        2, "rings of cells around the centre: 1, 7, 19, 37 ... cells", source="zhang2025 IV-A: 19 cells"
    )
    devices_per_cell: Annotated[int, Ge(1), Le(MAX_DEVICES)] = param(
        3, "in the random drop 2 to 5 if this is 3", source="zhang2025 IV-A"
    )
    radius_m: Annotated[float, Gt(0), Le(1e6)] = param(500.0, "cell radius R", unit="m", source="zhang2025 table I")
    min_distance_m: Annotated[float, Gt(0)] = param(
        35.0, "no device lies nearer to an AP", unit="m", source="authors' code"
    )
    path_loss_intercept_db: Annotated[float, Ge(0), Le(300)] = param(
        128.1, "path loss at 1 km", unit="dB", source="zhang2025 table I"
    )
    path_loss_slope_db: Annotated[float, Gt(0), Le(200)] = param(
        37.6, "path loss per decade", unit="dB", source="zhang2025 table I"
    )
    neighbour_margin_db: Annotated[float, Ge(0), Le(300)] = param(
        8.0,
        "cells are neighbours where the path gain of one at a device of the other is within this of its own AP's",
        unit="dB",
        source="authors' code",
    )
    fading: Literal["rayleigh", "none"] = param("rayleigh", "none: the mean gains", source="zhang2025 eq. (11)")
    fading_power: Annotated[float, Gt(0), Le(1e3)] | None = param(
        None, "mean of |h|^2; none: the preset's", source="zhang2025 below eq. (11); authors' code"
    )
    doppler_hz: Annotated[float, Ge(0), Le(1e4)] = param(
        10.0, "rho = J0(2 pi f T), 0.6425 by default", unit="Hz", source="authors' code"
    )
    subbands: Annotated[int, Ge(1), Le(16)] = param(3, "H", source="zhang2025 IV-A")
    subband_hz: Annotated[float, Ge(1), Le(1e12)] | None = param(
        None, "width of a subband; none: the preset's", unit="Hz", source="zhang2025 table I; authors' code"
    )
    max_power_dbm: Annotated[float, Ge(-300), Le(80)] = param(
        23.0, "largest transmit power on a subband", unit="dBm", source="zhang2025 table I"
    )
    min_power_dbm: Annotated[float, Ge(-300), Le(80)] = param(
        0.0, "smallest one of an AP that transmits", unit="dBm", source="authors' code"
    )
    power_levels: Annotated[int, Ge(1), Le(127)] | None = param(
        None, "powers equally far apart in dB, beside silence; none: the preset's", source="zhang2025 eq. (14), table I"
    )
    noise_dbm: Annotated[float, Ge(-300), Le(80)] = param(
        -114.0, "noise power on a subband", unit="dBm", source="zhang2025 table I"
    )
    max_sinr_db: Annotated[float, Ge(-100), Le(300)] | None = param(
        30.0, "more SINR gives no more rate; none: no cap", unit="dB", source="authors' code"
    )
    slot_s: Annotated[float, Gt(0), Le(1e3)] = param(0.02, "slot T", unit="s", source="zhang2025 table I")
    packet_bits: Annotated[int, Ge(1), Le(10**12)] = param(
        500_000, "packet length L", unit="bit", source="zhang2025 table I"
    )
    load_packets_s: Annotated[float, Ge(0), Le(1e5)] = param(
        15.0,
        "mean arrivals per device; light, medium and heavy: 15, 20, 25 (hexagonal), 20, 25, 30 (random)",
        unit="packets/s",
        source="authors' code",
    )
    queue_bound: Annotated[int, Ge(1)] | None = param(
        None,
        "a replica's episode is cut off once more packets wait in one of its queues; none: never",
        unit="packets",
        source="zhang2025 IV-B, which gives no value; the authors' code trains with 50",
    )


@dataclass(frozen=True)
class RadioBudget:
    """The parameters' decibels made linear, the preset applied. `correlation`: rho of eq. (11). `max_sinr`: infinite
    without a cap."""

    powers_w: Floats  # [levels], ascending
    noise_w: float
    max_sinr: float
    subband_hz: float
    fading_power: float
    correlation: float

    @classmethod
    def of(cls, params: TrafficCells) -> "RadioBudget":
        preset = PRESETS[params.preset]
        levels = preset.power_levels if params.power_levels is None else params.power_levels
        first_dbm = params.min_power_dbm if levels > 1 else params.max_power_dbm
        return cls(
            powers_w=from_dbm(np.linspace(first_dbm, params.max_power_dbm, levels)),  # eq. (14)
            noise_w=float(from_dbm(params.noise_dbm)),
            max_sinr=np.inf if params.max_sinr_db is None else float(from_db(params.max_sinr_db)),
            subband_hz=preset.subband_hz if params.subband_hz is None else params.subband_hz,
            fading_power=preset.fading_power if params.fading_power is None else params.fading_power,
            correlation=jakes_correlation(params.doppler_hz, params.slot_s),
        )


def check(params: TrafficCells) -> None:
    """ValueError for parameters that are impossible together."""
    if params.min_power_dbm > params.max_power_dbm:
        raise ValueError(
            f"min_power_dbm {params.min_power_dbm} must not lie above max_power_dbm {params.max_power_dbm}: "
            "lower the first or raise the second"
        )
    if params.min_distance_m > params.radius_m / 4:
        raise ValueError(
            f"min_distance_m {params.min_distance_m} leaves devices no room in a cell of radius_m {params.radius_m}: "
            f"give at most {params.radius_m / 4:g}"
        )
