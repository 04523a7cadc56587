"""The parameters of a downlink of several cells; defaults are khan2020's network of 3 cells."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from protocol.params import param

WRAPPING = (7, 19, 37)  # numbers of cells whose copies tile the plane: 3 r (r + 1) + 1


@dataclass(frozen=True)
class DownlinkCells:
    """Where the paper is silent or contradicts itself the source is `ours`."""

    cells: Annotated[int, Ge(1), Le(37)] = param(
        3, "BSs B, on a hexagonal lattice from its centre on", source="sec. IV"
    )
    users: Annotated[int, Ge(1), Le(64)] = param(2, "users K of each BS", source="sec. IV")
    radius_m: Annotated[float, Gt(0), Le(1e5)] = param(
        1000.0, "cell radius; sites stand sqrt(3) times as far apart", unit="m", source="table I; the spacing is ours"
    )
    wraparound: bool = param(
        False, "the network continues in copies of itself; for 7, 19 or 37 cells", source="sec. IV-B, 7 cells"
    )
    user_area: Literal["disc", "hexagon"] = param(
        "disc", "users are uniform in the disc of the cell radius around their BS, or in the hexagon", source="ours"
    )
    min_distance_m: Annotated[float, Ge(0)] = param(
        0.0, "no user is nearer to its BS; the path loss log_distance is constant below", unit="m", source="ours"
    )
    path_loss: Literal["bounded", "log_distance"] = param(
        "bounded",
        "bounded: gain (1 + d / reference_m)^-exponent; log_distance: intercept_db + 10 exponent log10(d / km) dB",
        source="sec. II",
    )
    exponent: Annotated[float, Gt(0), Le(10)] = param(3.76, "alpha; 4.00 for 7 cells", source="sec. IV")
    reference_m: Annotated[float, Gt(0)] = param(0.392, "d0 of the bounded path loss", unit="m", source="table I")
    intercept_db: Annotated[float, Ge(0), Le(300)] = param(
        128.1, "loss at 1 km of log_distance; near that of bounded for alpha 3.76", unit="dB", source="3GPP TR 36.814"
    )
    shadowing_db: Annotated[float, Ge(0), Le(30)] = param(
        0.0, "deviation of a log-normal shadowing per link, drawn with the places", unit="dB", source="ours"
    )
    fading: Literal["fresh", "jakes", "none"] = param(
        "fresh", "Rayleigh, new in every slot; of correlation J0(2 pi doppler_hz slot_s); or the mean", source="sec. II"
    )
    doppler_hz: Annotated[float, Ge(0), Le(1e4)] = param(10.0, "of Jakes' fading", unit="Hz", source="Nasir and Guo")
    slot_s: Annotated[float, Gt(0), Le(1e3)] = param(0.02, "slot length", unit="s", source="Nasir and Guo")
    redraw_every_slots: Annotated[int, Ge(0)] = param(
        1, "an episode: after so many slots places are drawn anew; 0: they stay", unit="slots", source="sec. III-B"
    )
    max_power_dbm: Annotated[float, Ge(-100), Le(80)] = param(43.0, "Pmax", unit="dBm", source="table I")
    power_budget: Literal["per_user", "per_bs"] = param(
        "per_user",
        "Pmax limits each user's power, or a BS's sum as well: it scales its powers down to it",
        source="eq. (1b); fig. 15",
    )
    interference: Literal["all", "other_cells"] = param(
        "all",
        "all: every other user's signal interferes; other_cells: user k of each cell has the k-th of K subbands",
        source="eq. (1a); liang2019 sec. IV-B",
    )
    noise_dbm: Annotated[float, Ge(-300), Le(80)] = param(
        -77.0,
        "z: -77 is table I's density over the band, -68 with its noise figure too, -92 thermal noise with that figure",
        unit="dBm",
        source="table I, ambiguous",
    )
    bandwidth_hz: Annotated[float, Ge(1), Le(1e12)] = param(20e6, "the band", unit="Hz", source="table I")

    @property
    def spacing_m(self) -> float:
        """Between neighbouring sites of cells of this radius."""
        return float(3**0.5 * self.radius_m)

    @property
    def max_power_w(self) -> float:
        """Pmax"""
        return float(10 ** ((self.max_power_dbm - 30) / 10))

    @property
    def noise_w(self) -> float:
        """z over the whole band."""
        return float(10 ** ((self.noise_dbm - 30) / 10))


def check(params: DownlinkCells) -> None:
    """ValueError for parameters that are impossible together."""
    if params.wraparound and params.cells not in WRAPPING:
        raise ValueError(
            f"copies of {params.cells} cells do not tile the plane: set cells to one of {WRAPPING} "
            "or wraparound to false"
        )
    inner_m = params.radius_m * (1.0 if params.user_area == "disc" else 3**0.5 / 2)
    if params.min_distance_m >= inner_m:
        raise ValueError(
            f"min_distance_m {params.min_distance_m} leaves no place for users in a {params.user_area} "
            f"of radius_m {params.radius_m}: lower the first or raise the second"
        )
    if params.path_loss == "log_distance" and params.min_distance_m == 0:
        raise ValueError("log_distance gains more than it sends near the BS: set min_distance_m, such as 10")
