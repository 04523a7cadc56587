"""Fractional programming at the cloud, from full CSI (khan2020, sec. IV-B; shen2018). See `optimiser` for its turns."""

from schemes.contract import Card, Scheme
from schemes.khan2020 import PAPER
from schemes.khan2020.optimiser import OBSERVES, SENDS, OptimiserSettings, bs, choreography, cloud
from schemes.parts.solvers import fp

CARD = Card(
    name="khan2020/fp",
    summary="the cloud optimises all powers by fractional programming, from full CSI",
    citation="khan2020, sec. IV-B; Shen and Yu 2018, algorithm 3",
    paper=PAPER,
    equations="eq. (1); iteration: see schemes.parts.solvers.fp",
    worlds=("downlink_cells",),
    observes=OBSERVES,
    sends=SENDS,
    deviations=(
        "1. start and stopping rule are ours, the paper gives none",
        "2. starts: 20 is a bound, not in the paper",
    ),
    reproduces="fig. 11, 13, 14, 15",
)

SCHEME = Scheme(CARD, choreography, bs, cloud(fp.step), OptimiserSettings)
