"""ITLinQ and Fair-ITLinQ on the cellular network, central (zhang2025 section IV-B; naderializadeh2014, 1311.5527).

On each subband for itself the links with packets are asked in a random order; a link joins if its interference to and
from the links that have joined is low enough (`schemes.parts.solvers.itlinq` has the rule). Links that have joined
transmit at full power. SNR and INR are of this slot, at full power; INR i->j is what the AP of link i causes at the
device of link j.

Links of one AP exclude each other: an AP serves one device per subband.
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt

from protocol.messages.node import Welcome
from protocol.params import param
from schemes.contract import Card, NodePolicy, Scheme
from schemes.parts.solvers import itlinq
from schemes.parts.solvers.itlinq import FairBound, ItLinq
from schemes.zhang2025 import PAPER, cells_central
from schemes.zhang2025.cells import WholeCells, whole_cells
from schemes.zhang2025.cells_central import Allocation, NetworkCsi


@dataclass(frozen=True)
class ItLinqParams:
    """The rule's constants; what is none by default follows from the world's drop."""

    fair: bool = param(True, "Fair-ITLinQ, which the paper simulates; no: ITLinQ", source="zhang2025 IV-B")
    factor: Annotated[float, Gt(0)] | None = param(
        None, "M; none: 20 for ITLinQ and the random drop, 10 for the hexagonal one", source="authors' code"
    )
    exponent: Annotated[float, Ge(0)] | None = param(
        None, "eta; none: 0.7 for Fair-ITLinQ, 0.6 for ITLinQ", source="authors' code"
    )
    fair_factor: Annotated[float, Gt(0)] | None = param(
        None, "Mbar; none: 2 for the random drop, 0.1 for the hexagonal one", source="authors' code"
    )
    fair_exponent: Annotated[float, Ge(0)] = param(0.5, "etabar", source="authors' code")
    min_snr: Annotated[float, Ge(0)] | None = param(
        None, "SNR_th, linear; none: 5000 for the random drop, 1200 for the hexagonal one", source="authors' code"
    )
    max_age_slots: Annotated[int, Ge(0)] | None = param(
        None, "an older report of an AP counts as none; none: any age", unit="slots", source="ours"
    )


def rule(params: ItLinqParams, drop: str) -> ItLinq:
    """The rule, with the authors' constants where none are given."""

    def chosen(given: float | None, hexagonal: float, other: float) -> float:
        return given if given is not None else hexagonal if drop == "hexagonal" else other

    if not params.fair:
        return ItLinq(chosen(params.factor, 20.0, 20.0), chosen(params.exponent, 0.6, 0.6))
    fair = FairBound(chosen(params.fair_factor, 0.1, 2.0), params.fair_exponent, chosen(params.min_snr, 1200.0, 5000.0))
    return ItLinq(chosen(params.factor, 10.0, 20.0), chosen(params.exponent, 0.7, 0.7), fair)


def allocate(csi: NetworkCsi, cells: WholeCells, links: ItLinq, rng: np.random.Generator) -> Allocation:
    """The links that join, at full power."""
    replicas, subbands, n_cells, devices = csi.gains.shape
    inr = csi.gains[:, :, cells.cell] * (cells.powers_w[-1] / cells.noise_w)  # [E, H, L (tx), L (rx)]
    of_one_ap = (cells.cell[:, None] == cells.cell) & ~np.eye(devices, dtype=bool)
    inr[..., of_one_ap] = np.inf
    flat = inr.reshape(-1, devices, devices)
    order = rng.permuted(np.broadcast_to(np.arange(devices), (len(flat), devices)), axis=1)
    barred = np.repeat(csi.packets == 0, subbands, axis=0)
    active = itlinq.schedule(flat, order, links, barred=barred).reshape(replicas, subbands, devices)
    device = np.full((replicas, subbands, n_cells), -1)
    e, h, n = np.nonzero(active)
    device[e, h, cells.cell[n]] = n
    return Allocation(device, np.full_like(device, len(cells.powers_w) - 1))


def cloud(welcome: Welcome, params: ItLinqParams) -> NodePolicy:
    cells = whole_cells(welcome)
    links = rule(params, cells.drop)
    return cells_central.cloud(welcome, lambda csi, rng: allocate(csi, cells, links, rng), params.max_age_slots)


CARD = Card(
    name="zhang2025/itlinq",
    summary="central: links join in a random order while their interference is low; all at full power",
    citation="Zhang and Guo 2025, sec. IV-B, cellular benchmark 2; Naderializadeh and Avestimehr, arXiv 1311.5527",
    paper=PAPER,
    equations="INR <= M SNR^eta both ways; fair: the second with Mbar SNR^etabar where SNR > SNR_th",
    worlds=("traffic_cells",),
    observes="own devices' queues [n, bit] and gains from every AP [n, K, H, dB]",
    sends="csi: 2 + 4 K H bytes per device and slot to the trainer; decision: 2 bytes (13 bits for three devices) to "
    "each AP; 19 cells: 13148 bytes per slot",
    deviations=(
        "1. an AP serves one device per subband; the authors' program lets links of one AP join together",
        "2. constants, one draw per subband, and that links without packets are not asked: authors' program",
    ),
    reproduces="fig. 9, 10: see docs/reproduction/zhang2025.md",
    fallback="silent",
)
SCHEME = Scheme(CARD, cells_central.choreography, lambda w, _: cells_central.access_point(w), cloud, ItLinqParams)
