"""SSWF, selfish single-user water-filling: each user fills its channels as if there were no other cell."""

import numpy as np

from protocol.messages.choreography import Choreography, agents_act
from protocol.messages.node import Welcome
from schemes.contract import Card, NoParams, Scheme
from schemes.wong2021 import PAPER
from schemes.wong2021.cells_info import cells_info
from schemes.wong2021.negotiation import COSTS
from schemes.wong2021.quiet_filling import QuietFilling

CARD = Card(
    name="wong2021/sswf",
    summary="each user fills its channels by their gains alone, ignoring interference to and from other cells",
    citation="Wong et al. 2021, sec. V, a benchmark in words",
    paper=PAPER,
    equations="p = (w - 1 / |w^H h|^2)^+, w such that p sums to P_b(t) / U",
    worlds=("mumimo_cells",),
    observes="quiet_cost [U, F, noise], budget [noise] of a user",
    sends="nothing",
    reproduces="fig. 5-9: see docs/reproduction/wong2021.md",
    fallback="silent",
)


def node(welcome: Welcome, _params: NoParams) -> QuietFilling:
    """A base station on all channels."""
    return QuietFilling(welcome, np.ones(cells_info(welcome).channels, bool))


def choreography(_params: NoParams) -> Choreography:
    return Choreography((agents_act(COSTS),))


SCHEME = Scheme(CARD, choreography, node)
