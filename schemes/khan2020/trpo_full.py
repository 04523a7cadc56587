"""TRPO, fully decentralised: one policy that all BSs share, each on its own CSI, no exchange (khan2020, algorithm 3).

See `local_learning` for the slot, the learner and the stale rules.
"""

from dataclasses import dataclass
from typing import Any

from protocol.messages.choreography import Choreography, agents_act, trainer_learns
from protocol.messages.node import Welcome
from schemes.contract import Card, NodePolicy, Scheme, Training
from schemes.khan2020 import PAPER
from schemes.khan2020.local_learning import (
    LEARNING_SENDS,
    OBSERVES,
    VIEW,
    CsiVector,
    LocalBs,
    LocalSettings,
    OwnCsi,
    csi_space,
    training,
)
from schemes.khan2020.network_info import network_info

CARD = Card(
    name="khan2020/trpo_full",
    summary="BSs decide at once by one shared policy, each on its own CSI; the cloud improves it by TRPO",
    citation="khan2020, sec. III-C, algorithm 3",
    paper=PAPER,
    equations="eq. (9), (18)-(23), table II",
    worlds=("downlink_cells",),
    observes=OBSERVES,
    sends=LEARNING_SENDS,
    deviations=(
        "1. a value network V of all gains is the baseline of the advantage R - V; the paper fits Q(s, a)",
        "2. a power at a bound has the probability of all draws beyond it",
        "3. gains are in dB, the own cell's first, less the mean over own or other users' links, over the deviation",
        "4. M = 1000 episodes are those of 1000 replicas, if the run has as many",
        "5. no discount within a slot",
    ),
    reproduces="fig. 8, 11, 13, 14, 15",
)


@dataclass(frozen=True, kw_only=True)
class TrpoFull(LocalSettings):
    """Table II's delta, zeta, M and networks are the defaults."""


def bs(welcome: Welcome, params: TrpoFull) -> NodePolicy:
    """Acts on its own CSI."""
    info = network_info(welcome)
    space = csi_space(welcome)
    return LocalBs(welcome, params, OwnCsi(space, CsiVector(info, space), welcome.index))


def cloud(welcome: Welcome, params: Any) -> Training:
    """Learns from everyone's histories."""
    return training(welcome, params, csi_space(welcome))


def choreography(_: TrpoFull) -> Choreography:
    return Choreography((agents_act(VIEW), trainer_learns()))


SCHEME = Scheme(CARD, choreography, bs, params=TrpoFull, training=cloud, learns=True, needs=("torch",))
