"""Reuse-3: each cell has a third of the channels for itself, planned beforehand, and fills them by their gains."""

import numpy as np

from protocol.messages.choreography import Choreography, agents_act
from protocol.messages.node import Welcome
from schemes.contract import Card, NoParams, Scheme
from schemes.wong2021 import PAPER
from schemes.wong2021.cells_info import cells_info
from schemes.wong2021.negotiation import COSTS
from schemes.wong2021.quiet_filling import QuietFilling

_REUSE = 3

CARD = Card(
    name="wong2021/reuse3",
    summary="cells on disjoint thirds of the channels: no interference among three cells, no probes, no notes",
    citation="ours, a bound beside those of Wong et al. 2021, sec. V",
    paper=PAPER,
    equations="channel f belongs to cells b = f mod 3; there p = (w - 1 / |w^H h|^2)^+",
    worlds=("mumimo_cells",),
    observes="quiet_cost [U, F, noise], budget [noise] of a user",
    sends="nothing",
    deviations=("1. not in the paper: a frequency plan that someone has made before",),
    fallback="silent",
)


def node(welcome: Welcome, _params: NoParams) -> QuietFilling:
    """A base station on its third. ValueError for fewer channels than thirds."""
    channels = cells_info(welcome).channels
    if channels < _REUSE:
        raise ValueError(f"{welcome.scheme} needs at least {_REUSE} channels and the world has {channels}: give more")
    return QuietFilling(welcome, np.arange(channels) % _REUSE == welcome.index % _REUSE)


def choreography(_params: NoParams) -> Choreography:
    return Choreography((agents_act(COSTS),))


SCHEME = Scheme(CARD, choreography, node)
