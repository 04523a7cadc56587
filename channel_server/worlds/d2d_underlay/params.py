"""The parameters of li2020's cell."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from protocol.params import param


@dataclass(frozen=True)
class D2DUnderlay:
    """The cell's parameters; defaults are li2020's table II where it speaks."""

    pairs: Annotated[int, Ge(1), Le(500)] = param(10, "D2D pairs N; the paper goes from 10 to 50", source="table II")
    rbs: Annotated[int, Ge(1), Le(500)] = param(10, "resource blocks K, one CUE on each", source="table II")
    radius_m: Annotated[float, Gt(0), Le(1e6)] = param(500.0, "cell radius", unit="m", source="table II")
    max_pair_distance_m: Annotated[float, Gt(0)] = param(
        30.0, "a receiver lies uniformly in the disc of this radius around its transmitter", unit="m", source="table II"
    )
    min_bs_distance_m: Annotated[float, Gt(0)] = param(
        1.0, "the BS path loss is constant below this distance", unit="m", source="ours"
    )
    min_d2d_distance_m: Annotated[float, Gt(0)] = param(
        1.0, "the D2D path loss is constant below this distance", unit="m", source="ours"
    )
    bs_power_dbm: Annotated[float, Ge(-300), Le(80)] = param(
        46.0, "BS transmit power Pb", unit="dBm", source="table II"
    )
    bs_power_split: Literal["total", "per_rb"] = param(
        "total", "total: shared equally by the RBs; per_rb: on every RB", source="ours, the text leaves it open"
    )
    d2d_power_dbm: Annotated[float, Ge(-300), Le(80)] = param(
        13.0, "D2D transmit power Pd", unit="dBm", source="table II"
    )
    power_levels: Annotated[int, Ge(1), Le(100)] = param(
        1, "choices of D2D power; more than 1 makes an action (RB, level), level 0 the full power", source="sec. III-A"
    )
    power_step_db: Annotated[float, Gt(0), Le(100)] = param(
        6.0, "each level lies this far below the one before", unit="dB", source="ours"
    )
    noise_density_dbm_hz: Annotated[float, Ge(-300), Le(80)] = param(
        -174.0, "thermal noise density", unit="dBm/Hz", source="table II"
    )
    noise_figure_db: Annotated[float, Ge(0), Le(100)] = param(8.0, "UE noise figure", unit="dB", source="table II")
    rb_width_hz: Annotated[float, Ge(1), Le(1e12)] = param(180e3, "width W of an RB", unit="Hz", source="table II")
    carrier_hz: Annotated[float, Ge(1e6), Le(1e12)] = param(
        2e9, "both losses grow by 21 log10(carrier / 2 GHz)", unit="Hz", source="table II; 3GPP TR 36.942"
    )
    cellular_intercept_db: Annotated[float, Ge(0), Le(300)] = param(
        128.1, "BS path loss at 1 km", unit="dB", source="table II"
    )
    cellular_slope_db: Annotated[float, Gt(0), Le(200)] = param(37.6, "dB per decade", unit="dB", source="table II")
    d2d_intercept_db: Annotated[float, Ge(0), Le(300)] = param(
        148.0, "D2D path loss at 1 km: 148 is 3GPP's; 128.1 gives the paper's trends", unit="dB", source="ours"
    )
    d2d_exponent: Annotated[float, Gt(0), Le(20)] = param(4.0, "D2D path-loss exponent", source="table II")
    fading: Literal["rayleigh", "none"] = param("rayleigh", "per link and RB; none: the mean gains", source="ours")
    fading_correlation: Annotated[float, Ge(0), Lt(1)] = param(
        0.0, "rho of the Gauss-Markov fading between neighbouring slots", source="ours"
    )
    cue_threshold_db: Annotated[float, Ge(-100), Le(100)] = param(
        0.0, "a CUE below this SINR is in outage", unit="dB", source="table II"
    )
    d2d_threshold_db: Annotated[float, Ge(-100), Le(100)] = param(
        0.0, "a pair below this SINR is in outage", unit="dB", source="ours"
    )
    negative_reward: Annotated[float, Ge(-1e6), Lt(0)] = param(-1.0, "r_neg", unit="bit/s/Hz", source="sec. V")
    observation: Literal["per_rb", "compact"] = param(
        "per_rb", "per_rb: own gain, BS gain, interference on every RB; compact: the last two as scalars", source="ours"
    )
    neighbours: Annotated[int, Ge(0)] = param(
        3, "a broadcast reaches this many nearest pairs (all others if there are fewer)", source="ours"
    )
    slot_s: Annotated[float, Gt(0), Le(1e3)] = param(
        1e-3, "slot length, for signalling links with the budget radio", unit="s", source="ours"
    )


def check(params: D2DUnderlay) -> None:
    """ValueError for parameters that are impossible together."""
    if params.min_d2d_distance_m >= params.max_pair_distance_m:
        raise ValueError(
            f"min_d2d_distance_m {params.min_d2d_distance_m} must lie below max_pair_distance_m "
            f"{params.max_pair_distance_m}: lower the first or raise the second"
        )
    if params.min_bs_distance_m >= params.radius_m:
        raise ValueError(
            f"min_bs_distance_m {params.min_bs_distance_m} must lie below radius_m {params.radius_m}: "
            "lower the first or raise the second"
        )
    if params.fading == "none" and params.fading_correlation > 0:
        raise ValueError(
            f"fading_correlation {params.fading_correlation} has no meaning with fading 'none': "
            "set it to 0 or fading to 'rayleigh'"
        )
