"""Tabular Q-learning: every pair learns a value per region of its state and choice, in numpy, on the node.

    Q(s, a) <- Q(s, a) + rate (r + gamma max_a' Q(s', a') - Q(s, a))

The regions are those of `regions`. On the node or at the trainer: `independent`.
"""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from protocol.params import param
from schemes.contract import Card, Learner, Scheme
from schemes.li2020 import PAPER
from schemes.li2020.independent import IndependentLearners, IndependentSettings, choreography
from schemes.li2020.regions import Regions
from schemes.parts.experience import Experience
from schemes.parts.exploration import EpsilonSoftmax
from schemes.parts.learner_settings import Discount, Share, TabularQSettings
from schemes.parts.tabular import Table, TabularQ

CARD = Card(
    name="li2020/q_learning",
    summary="independent tabular Q-learning, on the node or at the BS/cloud, without torch",
    citation="Li and Guo 2020, sec. V, as a benchmark without details; Watkins and Dayan, Q-Learning, Machine "
    "Learning 8, 1992",
    paper=PAPER,
    equations="Q(s, a) += rate (r + gamma max Q(s', .) - Q(s, a)); reward (5)-(7)",
    worlds=("d2d_underlay",),
    observes="s_i: own_gain_db, interference_dbm (previous slot), last_rb, as one of 3 K (K + 1) regions; its SINR of "
    "the previous slot for the reward",
    sends="on the node nothing (it receives 1 outage bit per slot in training); at the trainer its history, and it "
    "receives its table",
    deviations=(
        "1. the paper gives no more than the name: regions, rate and exploration are ours",
        "2. the regions leave out the gain to the BS",
        "3. the reward needs the cellular user's SINR: the BS sends one outage bit per pair and slot",
        "4. rewards are centred on the pair's mean so far, as in MAAC here",
    ),
    reproduces="fig. 6 (L1): see docs/reproduction/li2020.md",
    fallback="random",
)


@dataclass(frozen=True, kw_only=True)
class QLearning(IndependentSettings, TabularQSettings):
    """How the tables are learned."""

    epsilon: Annotated[float, Ge(0), Le(1)] = param(0.1, "share of uniform choices in training", source="ours")
    rate: Share = param(0.05, "learning rate", source="ours")
    discount: Discount = param(0.95, "gamma", source="sec. V")
    centre_rewards: bool = param(True, "learn from rewards less the pair's mean so far", source="ours")


def _learner(params: QLearning, regions: Regions, n_actions: int, _seed: int, _node: int) -> Learner:
    return TabularQ(params, states=regions.count, n_actions=n_actions)


LEARNERS = IndependentLearners(
    learner=_learner,
    data=Experience.transitions,
    exploration=lambda params: EpsilonSoftmax(params.epsilon),
    vector=Regions,
    network=Table,
)
SCHEME = Scheme(CARD, choreography, LEARNERS.pair, params=QLearning, training=LEARNERS.training, learns=True)
