"""MAAC: each pair acts by its own actor; the BS/cloud trains one critic per pair on all pairs' data (CTDE).

    y_i = r_i + gamma Q'_i(s', mu'(s'))             eq. (15)      L_i = E (Q_i(s, a) - y_i)^2         eq. (14)
    grad J_i = E grad_a Q_i(s, a) grad mu_i(s_i)    eq. (17)      theta' <- tau theta + (1 - tau) theta'   eq. (19)

Every `upload_every_slots` a pair uploads its observations, actions and rewards; the trainer joins the histories by
slot, does `updates_per_upload` updates, and every `push_every_slots` pushes each pair's target actor back to it. In
evaluation no node sends anything.

The mathematics: `learner_maac_reference` (plain autograd, to read) and `learner_maac` (hand-written gradients, the one
that runs). The pair's side: `pair`.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from protocol.messages.choreography import Choreography, agents_act, trainer_learns
from protocol.messages.node import Welcome
from protocol.params import param
from schemes.contract import Card, Join, Learner, NodePolicy, Scheme, Send, Training
from schemes.li2020 import PAPER
from schemes.li2020.cell_info import Standardiser, cell_info
from schemes.li2020.pair import VIEW, experience_of, layout_of, learning_pair
from schemes.parts.critic_inputs import CriticInputs, all_agents
from schemes.parts.exploration import EpsilonSoftmax
from schemes.parts.numpy_nets import HiddenLayers
from schemes.parts.replay import check_batch
from schemes.parts.uploads import UploadSettings
from schemes.parts.weights import Precision

CARD = Card(
    name="li2020/maac",
    summary="central critics on all pairs' histories, actors at the pairs: training costs signalling, execution none",
    citation="Li and Guo 2020, sec. III-B, III-C, alg. 1, 2",
    paper=PAPER,
    equations="(12)-(19); reward (5)-(7)",
    worlds=("d2d_underlay",),
    observes="s_i: own_gain_db, bs_gain_db (to the transmitter), interference_dbm (previous slot), last_rb: [4K] or "
    "[K + 3]; its SINR of the previous slot for the reward",
    sends="in training its history to the BS, see upload (18 + 12 K bytes per slot in layout per_rb); it receives 1 "
    "outage bit per slot and its weights every push_every_slots, each acknowledged by 4 bytes; in evaluation nothing, "
    "once the last notes of training have arrived",
    deviations=(
        "1. categorical actions: the actor climbs the exact mean of Q over its softmax (actor_gradient: expected); "
        "gumbel is Gumbel-softmax, straight-through, as in the MADDPG reference code",
        "2. a penalty on the logits, as there, but 1 instead of 0.001; in the cells measured it hardly matters",
        "3. both gradients of an update are taken before either step",
        "4. exploration, batch, update and upload rates are ours: the paper gives none",
        "5. the reward needs the cellular user's SINR: the BS sends one outage bit per pair and slot",
        "6. histories are uploaded every so many slots (upload: every); the paper uploads when the channel is good, "
        "and what is good is ours (upload: good)",
        "7. rewards are centred on each pair's mean so far (Naik et al., Reward Centering, RLC 2024)",
        "8. rows that do not reach the BS in time are 0 wherever a critic knows them, and their own pair does not "
        "learn from them; the paper loses none",
        "9. the own action times the own state of its RB (gain; in per_rb all four vectors) joins the critic with "
        "the actions (critic_join: gated); plain is fig. 4, which ranks RBs far worse",
    ),
    reference="schemes/li2020/learner_maac_reference.py: eq. (13)-(19) in plain autograd, equal to what runs",
    reproduces="fig. 6-9 (L1-L5): see docs/reproduction/li2020.md",
    fallback="random",
)


@dataclass(frozen=True, kw_only=True)
class Maac(UploadSettings):
    """How MAAC learns. Defaults are the paper's where it gives any."""

    upload_every_slots: Annotated[int, Ge(1), Le(10_000)] = param(10, "slots between a pair's histories", source="ours")
    updates_per_upload: Annotated[int, Ge(0), Le(10_000)] = param(
        10, "updates per turn of the trainer: with 10 slots per upload the paper's one per slot", source="alg. 1"
    )
    push_every_slots: Annotated[int, Ge(1)] = param(100, "slots between pushes of weights to the pairs", source="ours")
    weights: Precision = param("float32", "number format of the weights notes", source="ours")
    actor_hidden: HiddenLayers = param((512, 128), "actor's hidden layers", source="sec. V")
    critic_hidden: HiddenLayers = param(
        (1024, 512, 256), "critic's hidden layers; the actions join after the first", source="sec. V, fig. 4"
    )
    critic_join: Literal["gated", "plain"] = param(
        "gated",
        "what joins the critic: actions and the own action times the own state of its RB, or actions alone"
        ", as in fig. 4",
        source="ours",
    )
    actor_gradient: Literal["expected", "gumbel"] = param(
        "expected", "exact mean of Q over the own actions, or Gumbel-softmax, straight-through", source="ours"
    )
    actor_rate: Annotated[float, Gt(0)] = param(1e-4, "actor's learning rate", source="sec. V")
    critic_rate: Annotated[float, Gt(0)] = param(1e-3, "critic's learning rate", source="sec. V")
    discount: Annotated[float, Ge(0), Lt(1)] = param(0.95, "gamma", source="sec. V")
    tau: Annotated[float, Gt(0), Le(1)] = param(0.01, "soft update of the targets", source="eq. (19)")
    replay_capacity: Annotated[int, Ge(1)] = param(1_000_000, "slots kept, oldest dropped", source="sec. V")
    centre_rewards: bool = param(True, "learn from rewards less the pair's mean so far", source="ours")
    batch: Annotated[int, Ge(1)] = param(64, "slots per minibatch", source="ours")
    gumbel_temperature: Annotated[float, Gt(0)] = param(1.0, "of the Gumbel-softmax", source="ours")
    logit_penalty: Annotated[float, Ge(0)] = param(1.0, "on the mean square of the actor's outputs", source="ours")
    epsilon: Annotated[float, Ge(0), Le(1)] = param(0.1, "share of uniform choices in training", source="ours")
    exploration_temperature: Annotated[float, Ge(0)] = param(
        0.2, "of the softmax from which choices are drawn in training; 0 takes the best", source="ours"
    )


def pair(welcome: Welcome, params: Maac) -> NodePolicy:
    """A pair of MAAC or NAAC."""
    return learning_pair(welcome, params, EpsilonSoftmax(params.epsilon, params.exploration_temperature))


def training(welcome: Welcome, params: Maac) -> Training:
    """Every critic knows all pairs."""
    return training_with(welcome, params, all_agents(welcome.agents))


def training_with(welcome: Welcome, params: Maac, critic_inputs: CriticInputs) -> Training:
    """The trainer's side, for the critics of MAAC or NAAC. ValueError for too few hidden layers of the critic,
    and for a batch that the replay never holds."""
    if len(params.critic_hidden) < 2:
        raise ValueError(
            f"critic_hidden {list(params.critic_hidden)}: actions join after the first hidden layer; give at least 2"
        )
    check_batch(params.batch, params.replay_capacity, welcome.replicas)
    cell = cell_info(welcome)
    standardise = Standardiser(cell, welcome.everyone[0].views[VIEW])
    experience = experience_of(cell, standardise)

    def learner() -> Learner:
        from schemes.li2020.learner_maac import MaacLearner  # loads torch, which only a learning trainer needs

        return MaacLearner(
            params,
            inputs=experience.inputs,
            n_actions=cell.n_actions,
            critic_inputs=critic_inputs,
            gates=standardise.of_choice if params.critic_join == "gated" else (),
            seed=welcome.seed,
        )

    return Training(
        learner=learner,
        updates_per_turn=params.updates_per_upload,
        join=Join(
            how="together",
            layouts=[layout_of(welcome, params, agent) for agent in range(welcome.agents)],
            to_data=experience.transitions,
            max_upload_interval_slots=params.max_upload_interval_slots,
        ),
        send=Send(to="each", every_slots=params.push_every_slots, precision=params.weights),
    )


def choreography(_params: Maac) -> Choreography:
    """All pairs act, then the trainer learns from the histories received; outage bits only in warmup and training."""
    turns = (agents_act(view=VIEW), trainer_learns())
    return Choreography(turns, feedback=("outage",), feedback_phases=("warmup", "train"))


SCHEME = Scheme(CARD, choreography, pair, params=Maac, training=training, learns=True, needs=("torch",))
