"""Independent DQN: every pair learns from its own states, choices and rewards alone.

    y = r + gamma max_a' Q'(s', a')      L = E Huber(Q(s, a) - y)      theta' <- tau theta + (1 - tau) theta'

With `learns_at: node` the learner runs on the pair, and the BS's outage bit is the only note. With `learns_at: trainer`
it runs at the BS/cloud, histories are uploaded and weights pushed back. The learner is the same: with an upload and a
push in every slot and no delay the weights are equal bit for bit, and only the books differ.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt

from protocol.messages.choreography import Choreography, agents_act, trainer_learns
from protocol.messages.node import Welcome
from protocol.params import param
from schemes.contract import Card, Join, Learner, NodePolicy, Scheme, Send, Training
from schemes.li2020 import PAPER
from schemes.li2020.cell_info import CellInfo, cell_info
from schemes.li2020.experience import Experience
from schemes.li2020.local_trainer import LocalTrainer
from schemes.li2020.pair import VIEW, Pair, layout_of
from schemes.li2020.pair_history import HistoryParams
from schemes.parts.exploration import EpsilonSoftmax
from schemes.parts.numpy_nets import HiddenLayers
from schemes.parts.replay import check_batch
from schemes.parts.weights import Precision

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
    ),
    reproduces="fig. 6-9 (L1, L3-L5): see docs/reproduction/li2020.md",
    fallback="random",
)


@dataclass(frozen=True, kw_only=True)
class Dqn(HistoryParams):
    """How DQN learns."""

    learns_at: Literal["node", "trainer"] = param("node", "where the learner runs", source="ours")
    upload_every_slots: Annotated[int, Ge(1), Le(10_000)] = param(1, "slots between histories", source="ours")
    updates_per_upload: Annotated[int, Ge(0), Le(10_000)] = param(1, "updates after each history", source="ours")
    push_every_slots: Annotated[int, Ge(1)] = param(1, "slots between pushes of weights by the trainer", source="ours")
    weights: Precision = param("float32", "number format of the weights notes", source="ours")
    hidden: HiddenLayers = param((512, 128), "hidden layers, as the paper's actor", source="ours")
    rate: Annotated[float, Gt(0)] = param(1e-3, "learning rate", source="ours")
    discount: Annotated[float, Ge(0), Lt(1)] = param(0.95, "gamma", source="sec. V")
    tau: Annotated[float, Gt(0), Le(1)] = param(0.01, "soft update of the target", source="eq. (19)")
    replay_capacity: Annotated[int, Ge(1)] = param(1_000_000, "slots kept, oldest dropped", source="sec. V")
    centre_rewards: bool = param(True, "learn from rewards less the pair's mean so far", source="ours")
    batch: Annotated[int, Ge(1)] = param(64, "slots per minibatch", source="ours")
    epsilon: Annotated[float, Ge(0), Le(1)] = param(0.1, "share of uniform choices in training", source="ours")


def pair(welcome: Welcome, params: Dqn) -> NodePolicy:
    """A pair that learns by itself, or that uploads its histories to the trainer.

    ValueError for a batch that the replay never holds.
    """
    check_batch(params.batch, params.replay_capacity, welcome.replicas)
    exploration = EpsilonSoftmax(params.epsilon)
    if params.learns_at == "trainer":
        return Pair(welcome, exploration, params)
    cell = cell_info(welcome)
    experience = Experience(cell, welcome.views[VIEW])
    learner = _learner(params, cell, experience.inputs, welcome.seed, [welcome.index])
    updates = params.updates_per_upload
    local_trainer = LocalTrainer(learner, layout_of(welcome), experience.to_transitions, updates=updates)
    return Pair(welcome, exploration, params, local_trainer)


def training(welcome: Welcome, params: Dqn) -> Training:
    """The trainer's side: one learner per pair."""
    cell = cell_info(welcome)
    experience = Experience(cell, welcome.everyone[0].views[VIEW])
    return Training(
        learner=lambda: _learner(params, cell, experience.inputs, welcome.seed, list(range(welcome.agents))),
        updates_per_turn=params.updates_per_upload,
        join=Join(
            how="alone",
            layouts=[layout_of(welcome, agent) for agent in range(welcome.agents)],
            to_data=experience.to_transitions,
            max_upload_interval_slots=params.max_upload_interval_slots,
        ),
        send=Send(to="each", every_slots=params.push_every_slots, precision=params.weights),
    )


def _learner(params: Dqn, cell: CellInfo, inputs: int, seed: int, nodes: list[int]) -> Learner:
    from schemes.li2020.learner_dqn import DqnLearner  # loads torch, which only learning needs
    from schemes.parts.nn.learning import Independent

    return Independent(
        [DqnLearner(params, inputs=inputs, n_actions=cell.n_actions, seed=seed, node=node) for node in nodes]
    )


def choreography(params: Dqn) -> Choreography:
    """All pairs act; then a trainer learns from the histories received, if that is where learning happens."""
    turns = (agents_act(view=VIEW), *([trainer_learns()] if params.learns_at == "trainer" else []))
    return Choreography(turns, feedback=("outage",), feedback_phases=("warmup", "train"))


SCHEME = Scheme(CARD, choreography, pair, params=Dqn, training=training, learns=True)
