"""Weighted minimum mean-square error at the cloud, from full CSI (khan2020, sec. IV-B; shi2011). See `optimiser`."""

from schemes.contract import Card, Scheme
from schemes.khan2020 import PAPER
from schemes.khan2020.optimiser import OBSERVES, SENDS, OptimiserSettings, bs, choreography, cloud
from schemes.parts.solvers import wmmse

CARD = Card(
    name="khan2020/wmmse",
    summary="the cloud optimises all powers by WMMSE with one antenna at each end, from full CSI",
    citation="khan2020, sec. IV-B; Shi et al. 2011",
    paper=PAPER,
    equations="eq. (1); iteration: see schemes.parts.solvers.wmmse",
    worlds=("downlink_cells",),
    observes=OBSERVES,
    sends=SENDS,
    deviations=("1. start and stopping rule are ours, the paper gives none",),
    reproduces="fig. 11, 13, 14, 15",
)

SCHEME = Scheme(CARD, choreography, bs, cloud(wmmse.step), OptimiserSettings)
