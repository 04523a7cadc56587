"""The downlink of B cells with K users each that share one band: khan2020, and the networks of its kin by parameters.

    gain = |g|^2 (1 + d / d0)^-alpha,  g ~ CN(0, 1)                                       khan2020, sec. II
    R = sum_{b,k} log2(1 + p[b->k] gain[b->k,b] / (sum_{(b',k') != (b,k)} p[b'->k'] gain[b'->k,b] + z))   eq. (1a)
    0 <= p[b->k] <= Pmax, for each user                                                   eq. (1b)

Every BS is an agent and chooses the powers of its users; its reward is the sum rate of its own cell, so that the sum of
all rewards is R. An episode is one slot: places and fading are drawn anew.

Other networks by the parameters that differ from the defaults (`KIN`): khan2020's of 7 cells; that of Nasir and Guo
(liang2019 eq. (10), arXiv 1808.00490); that of Meng et al. (arXiv 1901.07159); and the +-dB scheme's (liang2019, sec.
IV-B), where the users of a cell share no subband.

Not modelled: several antennas, the uplink, the choice of the serving BS.

One module per part: `params`, `places` (sites, users, mean gains), `physics` (powers to rates), `views` (what a BS
measures), `drawing` and `world`, which puts them together.
"""

from collections.abc import Mapping
from typing import Any

from channel_server.worlds.contract import WorldEntry
from channel_server.worlds.downlink_cells.params import DownlinkCells, check
from channel_server.worlds.downlink_cells.world import Cells, State

__all__ = ["KIN", "WORLD", "Cells", "DownlinkCells", "State", "build"]

_DEVICES: dict[str, Any] = {
    "path_loss": "log_distance",
    "intercept_db": 120.9,
    "shadowing_db": 8.0,
    "fading": "jakes",
    "max_power_dbm": 38.0,
    "noise_dbm": -114.0,
    "bandwidth_hz": 10e6,
    "user_area": "hexagon",
}
KIN: Mapping[str, Mapping[str, Any]] = {
    "khan2020, 7 cells": {"cells": 7, "users": 8, "wraparound": True, "exponent": 4.0},
    "Nasir and Guo": _DEVICES
    | {
        "cells": 19,
        "users": 1,
        "wraparound": True,
        "radius_m": 500.0,
        "min_distance_m": 200.0,
        "redraw_every_slots": 5000,
    },
    "Meng et al.": _DEVICES | {"cells": 25, "users": 4, "min_distance_m": 10.0, "redraw_every_slots": 50},
    "+-dB": {"interference": "other_cells", "power_budget": "per_bs", "redraw_every_slots": 0},
}


def build(params: DownlinkCells, *, seed: int, replicas: int) -> Cells:
    """The network. ValueError for parameters that are impossible together."""
    check(params)
    return Cells(params, seed, replicas)


def memory_bytes(params: DownlinkCells, replicas: int) -> int:
    """Gains of every link in 8 bytes: the mean, the slot's and those that are being computed, also in decibels; with
    wraparound the distances to all seven copies of the network."""
    links = params.cells**2 * params.users
    arrays = 14 + (12 if params.fading == "jakes" else 0) + (34 if params.wraparound else 0)
    powers = 400 * params.cells * params.users
    return replicas * (8 * arrays * links + powers) + 3 * 2**20


WORLD = WorldEntry(
    name="downlink_cells",
    summary="the downlink of a few cells on one band, whose BSs choose their users' powers",
    source="khan2020, sec. II and IV; Nasir and Guo 2019; Meng et al. 2020",
    params=DownlinkCells,
    build=build,
    memory_bytes=memory_bytes,
)
