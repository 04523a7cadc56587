"""Independent DQN: every pair learns from its own states, choices and rewards alone.

    y = r + gamma max_a' Q'(s', a')      L = E (Q(s, a) - y)^2 / 2      theta' <- tau theta + (1 - tau) theta'

On the node or at the trainer: `independent`.
"""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from protocol.messages.node import Welcome
from protocol.params import param
from schemes.contract import Card, Learner, NodePolicy, Scheme
from schemes.li2020 import PAPER
from schemes.li2020.independent import IndependentLearners, IndependentSettings, choreography
from schemes.parts.experience import Experience
from schemes.parts.exploration import EpsilonSoftmax
from schemes.parts.learner_settings import AtLeastOne, Discount, DqnSettings, NotNegative, Share
from schemes.parts.numpy_nets import HiddenLayers
from schemes.parts.numpy_nets.architecture import Linear, mlp
from schemes.parts.replay import check_batch
from schemes.parts.sense import Vectoriser

CARD = Card(
    name="li2020/dqn",
    summary="independent deep Q-learning, on the node or at the BS/cloud",
    citation="Li and Guo 2020, sec. V, as a benchmark without details, after [41]; Mnih et al., Human-level control "
    "through deep reinforcement learning, Nature 518, 2015",
    paper=PAPER,
    equations="y = r + gamma max Q'(s', .); reward (5)-(7)",
    worlds=("d2d_underlay",),
    observes="s_i: own_gain_db, bs_gain_db (to the transmitter), interference_dbm (previous slot), last_rb: [4K] or "
    "[K + 3]; its SINR of the previous slot for the reward",
    sends="on the node nothing (it receives 1 outage bit per slot in training); at the trainer its history, and it "
    "receives its weights",
    deviations=(
        "1. the paper gives no more than the name: network, rates, exploration and batch are ours",
        "2. soft updates of the target, as the paper's own schemes have; neither double nor duelling",
        "3. the reward needs the cellular user's SINR: the BS sends one outage bit per pair and slot",
        "4. rewards are centred on the pair's mean so far, as in MAAC here",
        "5. squared error, as in MAAC's eq. (14); Mnih et al. clip it (huber_threshold: 1), which gives the rare -1 of "
        "an outage less weight than its share of the mean",
    ),
    reproduces="fig. 6-9 (L1, L3-L5): see docs/reproduction/li2020.md",
    fallback="random",
)


@dataclass(frozen=True, kw_only=True)
class Dqn(IndependentSettings, DqnSettings):
    """How DQN learns."""

    hidden: HiddenLayers = param((512, 128), "hidden layers, as the paper's actor", source="ours")
    epsilon: Annotated[float, Ge(0), Le(1)] = param(0.1, "share of uniform choices in training", source="ours")
    # of the learner, where not as in its own paper
    discount: Discount = param(0.95, "gamma", source="sec. V")
    double: bool = param(False, "choose the next action by the online network", source="ours")
    batch: AtLeastOne = param(64, "slots per minibatch", source="ours")
    centre_rewards: bool = param(True, "learn from rewards less the pair's mean so far", source="ours")
    tau: Share = param(0.01, "soft update of the target", source="eq. (19)")
    target_every: AtLeastOne = param(1, "updates between two moves of the target", source="eq. (19)")
    huber_threshold: NotNegative = param(0.0, "error from which the loss is linear; 0: square", source="eq. (14)")
    gradient_cap: NotNegative = param(0.0, "largest norm of a gradient; 0: no cap", source="ours")


def _learner(params: Dqn, vector: Vectoriser, n_actions: int, seed: int, node: int) -> Learner:
    from schemes.parts.nn.dqn import DeepQLearner  # loads torch, which only learning needs

    return DeepQLearner(params, mlp(vector.inputs, params.hidden, Linear(n_actions)), seed=seed, node=node)


LEARNERS = IndependentLearners(
    learner=_learner, data=Experience.transitions, exploration=lambda params: EpsilonSoftmax(params.epsilon)
)


def pair(welcome: Welcome, params: Dqn) -> NodePolicy:
    """ValueError for a batch that the replay never holds."""
    check_batch(params.batch, params.replay_capacity, welcome.replicas)
    return LEARNERS.pair(welcome, params)


SCHEME = Scheme(CARD, choreography, pair, params=Dqn, training=LEARNERS.training, learns=True, needs=("torch",))
