"""Independent actor-critic: every pair learns a stochastic policy and a value of its own state (A2C).

    delta_t = r_t + gamma V(s_{t+1}) - V(s_t)        A_t = sum_k (gamma lambda)^k delta_{t+k}
    grad J = E A_t grad log pi(a_t | s_t) + w grad H(pi)        L = E (V(s_t) - A_t - V_old(s_t))^2

It learns on-policy, once from each version of the policy: rows of an older one are dropped. A version ends when
`rows_per_iteration` rows of it have come; at the trainer those that were on their way while it learned are lost to
learning. On the node or at the trainer: `independent`.
"""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Le

from protocol.params import param
from schemes.contract import Card, Learner, Scheme
from schemes.li2020 import PAPER
from schemes.li2020.independent import IndependentLearners, IndependentSettings, choreography
from schemes.parts.distributions import Categorical
from schemes.parts.experience import Experience
from schemes.parts.exploration import EpsilonSoftmax
from schemes.parts.learner_settings import AtLeastOne, Discount, NotNegative, Positive, PpoSettings
from schemes.parts.numpy_nets import HiddenLayers
from schemes.parts.numpy_nets.architecture import Linear, mlp
from schemes.parts.sense import Vectoriser

CARD = Card(
    name="li2020/ac",
    summary="independent actor-critic (A2C), on the node or at the BS/cloud",
    citation="Li and Guo 2020, sec. V, as a benchmark without details; Mnih et al., Asynchronous methods for deep "
    "reinforcement learning, ICML 2016",
    paper=PAPER,
    equations="A2C with generalised advantages; reward (5)-(7)",
    worlds=("d2d_underlay",),
    observes="s_i: own_gain_db, bs_gain_db (to the transmitter), interference_dbm (previous slot), last_rb: [4K] or "
    "[K + 3]; its SINR of the previous slot for the reward",
    sends="on the node nothing (it receives 1 outage bit per slot in training); at the trainer its history, and it "
    "receives its actor",
    deviations=(
        "1. the paper gives no more than the name: networks, rates, rows per iteration and entropy are ours",
        "2. the reward needs the cellular user's SINR: the BS sends one outage bit per pair and slot",
        "3. values are normalised instead of rewards centred",
        "4. until its first weights arrive a pair chooses uniformly: the first iteration weighs these rows by pi(a | s)"
        " over the uniform probability; in a run that starts from other weights, rows of warmup are not kept",
        "5. on-policy, without replay: in comparisons li2020/naac with neighbours: 0 stands for the paper's AC, of "
        "which MAAC is called an extension: the same learner and budget, on a pair's own data",
    ),
    reproduces="fig. 6 (L1): see docs/reproduction/li2020.md",
    fallback="random",
)


@dataclass(frozen=True, kw_only=True)
class Ac(IndependentSettings, PpoSettings):
    """How AC learns: PPO's settings, of which one pass over the rows makes A2C."""

    hidden: HiddenLayers = param((512, 128), "hidden layers of actor and critic, as the paper's actor", source="ours")
    upload_every_slots: Annotated[int, Ge(1), Le(10_000)] = param(10, "slots between histories", source="ours")
    rows_per_iteration: AtLeastOne = param(10, "slots x replicas of a pair before it learns", source="ours")
    discount: Discount = param(0.95, "gamma", source="sec. V")
    policy_rate: Positive = param(1e-3, "learning rate of the actor", source="ours")
    value_rate: Positive = param(1e-3, "learning rate of the critic", source="ours")
    epochs: AtLeastOne = param(1, "passes over the rows", source="huang2022")
    clip_values: bool = param(False, "clip changes of values too", source="huang2022")
    huber_threshold: NotNegative = param(0.0, "value error from which the loss is linear; 0: square", source="ours")


def _learner(params: Ac, vector: Vectoriser, n_actions: int, seed: int, node: int) -> Learner:
    from schemes.parts.nn.on_policy import OnPolicyLearner  # loads torch, which only learning needs

    return OnPolicyLearner(
        params,
        policy=mlp(vector.inputs, params.hidden, Linear(n_actions)),
        distribution=Categorical((n_actions,)),
        value=mlp(vector.inputs, params.hidden, Linear(1)),
        seed=seed,
        node=node,
    )


LEARNERS = IndependentLearners(
    learner=_learner,
    data=Experience.rollout,
    exploration=lambda _: EpsilonSoftmax(epsilon=0.0, temperature=1.0),  # draws from the policy as it is
    on_policy=True,
)
SCHEME = Scheme(CARD, choreography, LEARNERS.pair, params=Ac, training=LEARNERS.training, learns=True, needs=("torch",))
