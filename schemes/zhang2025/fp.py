"""Fractional programming on the cellular network, central (zhang2025 section IV-B; shen2018 algorithm 3)."""

from schemes.contract import Card, Scheme
from schemes.parts.solvers import fp
from schemes.zhang2025 import PAPER, cells_central, weighted_sum_rate
from schemes.zhang2025.weighted_sum_rate import AscentParams

CARD = Card(
    name="zhang2025/fp",
    summary="central: powers of the weighted sum rate by fractional programming, from all CSI",
    citation="Zhang and Guo 2025, sec. IV-B, cellular benchmark 3; Shen and Yu 2018",
    paper=PAPER,
    equations="schemes.parts.solvers.fp, weights equal to the queues",
    worlds=("traffic_cells",),
    observes="own devices' queues [n, bit] and gains from every AP [n, K, H, dB]",
    sends="csi: 2 + 4 K H bytes per device and slot to the trainer; decision: 2 bytes (13 bits for three devices) to "
    "each AP; 19 cells: 13148 bytes per slot",
    deviations=(
        "1. weights are whole packets, one that has gone in part included: authors' program; the text has bits",
        "2. an AP serves one device per subband: of several that keep power, that of the largest weighted rate",
        "3. powers are rounded to the world's levels; their program uses any power: raise power_levels to come near",
        "4. the tolerance is a share of the sum rate; their program's is absolute",
        "5. the authors' program updates y by the gamma of an iteration before",
    ),
    reproduces="fig. 9, 10: see docs/reproduction/zhang2025.md",
    fallback="silent",
)
SCHEME = Scheme(
    CARD,
    cells_central.choreography,
    lambda welcome, _: cells_central.access_point(welcome),
    lambda welcome, params: weighted_sum_rate.cloud(welcome, params, fp.step),
    AscentParams,
)
