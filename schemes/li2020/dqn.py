"""DQN: every pair learns for itself, from its own states, choices and rewards, and knows of nobody else.

    y = r + gamma max_a' Q'(s', a')      L = E Huber(Q(s, a) - y)      theta' <- tau theta + (1 - tau) theta'

It learns on the node, where nothing travels but the BS's outage bit; or, with `learns_at: trainer`, at the BS/cloud,
where histories go up and weights come down. The learner is the same: with an upload and weights in every slot and no
delay so are the weights, bit for bit, and only the books differ.
"""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Le, Lt

from protocol.messages.choreography import Choreography, agents_act, trainer_learns
from protocol.messages.node import Welcome
from protocol.params import param
from schemes.contract import Card, Learner, NodePolicy, Scheme, Training
from schemes.li2020.cell import Cell, cell_of
from schemes.li2020.experience import Experience
from schemes.li2020.pair import VIEW, Exploration, Histories, LocalTrainer, Pair, layout_of
from schemes.parts.history import JointHistory
from schemes.parts.weights import Precision

CARD = Card(
    name="li2020/dqn",
    summary="independent deep Q-learning, on the node or at the BS/cloud",
    citation="li2020 sec. V names it, after [41]; Mnih et al., Nature 518, 2015",
    equations="y = r + gamma max Q'(s', .); reward (5)-(7)",
    worlds=("d2d_underlay",),
    sees="s_i: own_gain_db, bs_gain_db (to the transmitter), interference_dbm (slot before), last_rb: [4K] or [K + 3]; "
    "own SINR of the slot before for the reward",
    tells="on the node nothing (it is told 1 outage bit per slot in training); at the trainer its history, and it is "
    "told its weights",
    deviations=(
        "1. the paper gives no more than the name: network, rates, exploration and batch are ours",
        "2. soft updates of the target, as the paper's own schemes have; neither double nor duelling",
        "3. the reward needs the cellular user's SINR: the BS tells one outage bit per pair and slot",
        "4. rewards are centred on the pair's mean so far, as in MAAC here",
    ),
    reproduces="fig. 6-9 (L1, L3-L5): see docs/reproduction/li2020.md",
    fallback="random",
)


@dataclass(frozen=True, kw_only=True)
class Dqn(Histories):
    """How DQN learns."""

    learns_at: Literal["node", "trainer"] = param("node", "where the learner lives", source="ours")
    upload_every_slots: Annotated[int, Ge(1), Le(10_000)] = param(1, "slots between histories", source="ours")
    updates_per_upload: Annotated[int, Ge(0)] = param(1, "updates after each history", source="ours")
    push_every_slots: Annotated[int, Ge(1)] = param(1, "slots between weights told by the trainer", source="ours")
    weights: Precision = param("float32", "numbers in which weights are told", source="ours")
    hidden: tuple[Annotated[int, Ge(1)], ...] = param((512, 128), "hidden layers, as the paper's actor", source="ours")
    rate: Annotated[float, Gt(0)] = param(1e-3, "learning rate", source="ours")
    discount: Annotated[float, Ge(0), Lt(1)] = param(0.95, "gamma", source="sec. V")
    tau: Annotated[float, Gt(0), Le(1)] = param(0.01, "soft update of the target", source="eq. (19)")
    replay_capacity: Annotated[int, Ge(1)] = param(1_000_000, "slots remembered, oldest dropped", source="sec. V")
    centre_rewards: bool = param(True, "learn from rewards less the pair's mean so far", source="ours")
    batch: Annotated[int, Ge(1)] = param(64, "slots per minibatch", source="ours")
    epsilon: Annotated[float, Ge(0), Le(1)] = param(0.1, "share of uniform choices in training", source="ours")


class Independent:
    """Learners that know nothing of each other, one per agent, as who hosts them knows them."""

    def __init__(self, inners: list[Any], experience: Experience) -> None:
        self._inners = inners
        self._experience = experience

    def add(self, joint: JointHistory) -> None:
        """Each learner is given its own agent's part."""
        for agent, inner in enumerate(self._inners):
            inner.add(self._experience.trajectory(joint, [agent]))

    def learn(self, updates: int) -> dict[str, float]:
        """Means over the agents; nothing while there is too little to learn from."""
        told: list[dict[str, float]] = [inner.learn(updates) for inner in self._inners]
        return {key: float(np.mean([t[key] for t in told])) for key in told[0]} if told[0]["updates"] else {}

    def weights(self, node: int) -> dict[str, npt.NDArray[np.float32]]:
        weights: dict[str, npt.NDArray[np.float32]] = self._inners[node].weights(0)
        return weights

    def save(self) -> dict[str, Any]:
        return {"agents": [inner.save() for inner in self._inners]}

    def load(self, data: dict[str, Any]) -> None:
        for inner, saved in zip(self._inners, data["agents"], strict=True):
            inner.load(saved)


def pair(welcome: Welcome, params: Dqn) -> NodePolicy:
    """A pair that learns by itself, or tells the trainer."""
    exploration = Exploration(params.epsilon, 0.0)
    if params.learns_at == "trainer":
        return Pair(welcome, exploration, params)
    experience = Experience(cell_of(welcome), welcome.views[VIEW])
    learner = _learner(params, cell_of(welcome), experience, welcome.seed, [welcome.index])
    own = LocalTrainer(learner, layout_of(welcome), params.updates_per_upload)
    return Pair(welcome, exploration, params, own)


def training(welcome: Welcome, params: Dqn) -> Training:
    """The trainer's side: one learner per pair."""
    cell, experience = cell_of(welcome), Experience(cell_of(welcome), welcome.everyone[0].views[VIEW])
    return Training(
        learner=lambda: _learner(params, cell, experience, welcome.seed, list(range(welcome.agents))),
        layouts=[layout_of(welcome, agent) for agent in range(welcome.agents)],
        updates_per_turn=params.updates_per_upload,
        push_every_slots=params.push_every_slots,
        precision=params.weights,
        max_slots_unsent=params.max_slots_unsent,
    )


def _learner(params: Dqn, cell: Cell, experience: Experience, seed: int, nodes: list[int]) -> Learner:
    from schemes.li2020.learner_dqn import DqnLearner, DqnSettings  # torch is loaded by who learns, and only then

    settings = DqnSettings(
        inputs=experience.inputs,
        n_actions=cell.n_actions,
        hidden=params.hidden,
        rate=params.rate,
        discount=params.discount,
        tau=params.tau,
        replay_capacity=params.replay_capacity,
        centre_rewards=params.centre_rewards,
        batch=params.batch,
    )
    return Independent([DqnLearner(settings, seed=seed, node=node) for node in nodes], experience)


def choreography(params: Dqn) -> Choreography:
    """Everybody acts; a trainer learns from what came up, if it is where learning happens."""
    turns = (agents_act(view=VIEW), *([trainer_learns()] if params.learns_at == "trainer" else []))
    return Choreography(turns, feedback=("outage",), feedback_phases=("warmup", "train"))


SCHEME = Scheme(CARD, choreography, pair, params=Dqn, training=training, learns=True)
