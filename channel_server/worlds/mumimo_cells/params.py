"""The parameters of wong2021's cells."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le

from protocol.params import param


@dataclass(frozen=True)
class MuMimoCells:
    """Sizes, powers and time; defaults are those of fig. 5."""

    cells: Annotated[int, Ge(1), Le(19)] = param(3, "base stations B, each in its cell", source="sec. V")
    antennas: Annotated[int, Ge(1), Le(256)] = param(8, "antennas M of a base station", source="fig. 5")
    users: Annotated[int, Ge(1), Le(256)] = param(4, "users U of a cell, at most as many as antennas", source="fig. 5")
    channels: Annotated[int, Ge(1), Le(256)] = param(6, "frequency channels N_f", source="fig. 5")
    sir_db: Annotated[float, Ge(-100), Le(100)] = param(
        0.0, "mean gain from the own base station over that from each other one, eq. (23)", unit="dB", source="fig. 5"
    )
    snr_db: Annotated[float, Ge(-100), Le(100)] = param(
        20.0, "mean power per slot, user and channel over the noise, at a mean gain of 1", unit="dB", source="sec. V"
    )
    budget_slots: Annotated[int, Ge(1), Le(1_000_000)] = param(
        10, "slots T that share a power budget", unit="slots", source="fig. 5"
    )
    block_slots: Annotated[int, Ge(1), Le(1_000_000)] = param(
        1, "slots of a fading block, counted from the first of the run", unit="slots", source="sec. V"
    )
    carry: bool = param(
        True,
        "at the start of a slot the powers of the last one are still on the air, so that what is measured first shows "
        "their interference through the new channels; false: all are silent until they probe",
        source="sec. IV-A, state transition",
    )
    probe_share: Annotated[float, Ge(0), Le(1)] = param(
        0.001, "airtime of a probe turn, as a share of the slot; it lowers net_cell_rate_bps_hz only", source="ours"
    )
    observation: Literal["full", "gains"] = param(
        "full",
        "what `experience` shows: full, all of S_b; gains, without the channel matrices and beamformers, which reach "
        "the rates through the costs alone",
        source="eq. (17)",
    )

    @property
    def mean_power(self) -> float:
        """A user's power in a slot whose budget is shared evenly, all channels together, in units of the noise."""
        return float(self.channels * 10 ** (self.snr_db / 10))


def check(params: MuMimoCells) -> None:
    """ValueError for parameters that are impossible together."""
    if params.users > params.antennas:
        raise ValueError(
            f"users {params.users} must be at most antennas {params.antennas}, for zero-forcing separates no more: "
            "lower the first or raise the second"
        )
