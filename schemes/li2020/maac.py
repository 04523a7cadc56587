"""MAAC: pairs act by their own actors; the BS/cloud trains a critic per pair on everybody's histories.

    y_i = r_i + gamma Q'_i(s', mu'(s'))             eq. (15)      L_i = E (Q_i(s, a) - y_i)^2         eq. (14)
    grad J_i = E grad_a Q_i(s, a) grad mu_i(s_i)    eq. (17)      theta' <- tau theta + (1 - tau) theta'   eq. (19)

Every `upload_every_slots` a pair tells the trainer what it saw, did and earned since; the trainer joins the histories
by slot, does `updates_per_upload` updates, and every `push_every_slots` tells each pair its target actor's weights. In
evaluation nobody tells anything. The mathematics lies in `learner_maac`, the pair's side in `pair`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from annotated_types import Ge, Gt, Le, Lt

from protocol.messages.choreography import Choreography, agents_act, trainer_learns
from protocol.messages.node import Welcome
from protocol.params import param
from schemes.contract import Card, Learner, NodePolicy, Scheme, Training
from schemes.li2020.cell import Cell, cell_of
from schemes.li2020.experience import Experience
from schemes.li2020.pair import VIEW, Exploration, Histories, Pair, layout_of
from schemes.parts.history import JointHistory
from schemes.parts.weights import Precision

CARD = Card(
    name="li2020/maac",
    summary="central critics on everybody's histories, actors at the pairs: training costs signalling, execution none",
    citation="li2020, sec. III-B, III-C, alg. 1, 2",
    equations="(12)-(19); reward (5)-(7)",
    worlds=("d2d_underlay",),
    sees="s_i: own_gain_db, bs_gain_db (to the transmitter), interference_dbm (slot before), last_rb: [4K] or [K + 3]; "
    "own SINR of the slot before for the reward",
    tells="in training: its history to the BS, see upload (18 + 12 K bytes per slot in layout per_rb); "
    "it is told 1 outage bit per slot and its weights every push_every_slots, each acknowledged by 4 bytes; in "
    "evaluation nothing, once the last of training has arrived",
    deviations=(
        "1. categorical actions by Gumbel-softmax, straight-through, as in the MADDPG reference code",
        "2. a penalty on the logits, as there, but 1 instead of 0.001; in the cells measured it hardly matters",
        "3. both gradients of an update are taken before either step",
        "4. exploration, batch, update and upload rates are ours: the paper gives none",
        "5. the reward needs the cellular user's SINR: the BS tells one outage bit per pair and slot",
        "6. histories go up every so many slots (upload: every); the paper has them go up when the channel is good, "
        "and what is good is ours (upload: good)",
        "7. rewards are centred on each pair's mean so far (Naik et al., RLC 2024)",
    ),
    reproduces="fig. 6-9 (L1-L5): see docs/reproduction/li2020.md",
    fallback="random",
)


@dataclass(frozen=True, kw_only=True)
class Maac(Histories):
    """How MAAC learns. Defaults are the paper's where it speaks."""

    upload_every_slots: Annotated[int, Ge(1), Le(10_000)] = param(10, "slots between a pair's histories", source="ours")
    updates_per_upload: Annotated[int, Ge(0)] = param(
        10, "updates per turn of the trainer: with 10 slots per upload the paper's one per slot", source="alg. 1"
    )
    push_every_slots: Annotated[int, Ge(1)] = param(100, "slots between weights told to the pairs", source="ours")
    weights: Precision = param("float32", "numbers in which weights are told", source="ours")
    actor_hidden: tuple[Annotated[int, Ge(1)], ...] = param((512, 128), "actor's hidden layers", source="sec. V")
    critic_hidden: tuple[Annotated[int, Ge(1)], ...] = param(
        (1024, 512, 256), "critic's hidden layers; the actions join after the first", source="sec. V, fig. 4"
    )
    actor_rate: Annotated[float, Gt(0)] = param(1e-4, "actor's learning rate", source="sec. V")
    critic_rate: Annotated[float, Gt(0)] = param(1e-3, "critic's learning rate", source="sec. V")
    discount: Annotated[float, Ge(0), Lt(1)] = param(0.95, "gamma", source="sec. V")
    tau: Annotated[float, Gt(0), Le(1)] = param(0.01, "soft update of the targets", source="eq. (19)")
    replay_capacity: Annotated[int, Ge(1)] = param(1_000_000, "slots remembered, oldest dropped", source="sec. V")
    centre_rewards: bool = param(True, "learn from rewards less the pair's mean so far", source="ours")
    batch: Annotated[int, Ge(1)] = param(64, "slots per minibatch", source="ours")
    gumbel_temperature: Annotated[float, Gt(0)] = param(1.0, "of the Gumbel-softmax", source="ours")
    logit_penalty: Annotated[float, Ge(0)] = param(1.0, "on the mean square of the actor's outputs", source="ours")
    epsilon: Annotated[float, Ge(0), Le(1)] = param(0.1, "share of uniform choices in training", source="ours")
    exploration_temperature: Annotated[float, Ge(0)] = param(
        0.2, "of the softmax from which choices are drawn in training; 0 takes the best", source="ours"
    )


class AtTheCloud:
    """A learner of the joint game as the trainer knows it: histories of records in, weights by pair out."""

    def __init__(self, inner: Any, experience: Experience) -> None:
        self._inner = inner
        self._experience = experience

    def add(self, joint: JointHistory) -> None:
        """Everybody's history at once."""
        self._inner.add(self._experience.trajectory(joint, list(range(len(joint.states)))))

    def learn(self, updates: int) -> dict[str, float]:
        """Figures of the updates; nothing while there is too little to learn from."""
        scalars: dict[str, float] = self._inner.learn(updates)
        return scalars if scalars["updates"] else {}

    def weights(self, node: int) -> dict[str, npt.NDArray[np.float32]]:
        weights: dict[str, npt.NDArray[np.float32]] = self._inner.weights(node)
        return weights

    def save(self) -> dict[str, Any]:
        saved: dict[str, Any] = self._inner.save()
        return saved

    def load(self, data: dict[str, Any]) -> None:
        self._inner.load(data)


def pair(welcome: Welcome, params: Maac) -> NodePolicy:
    """A pair of MAAC or NAAC."""
    return Pair(welcome, Exploration(params.epsilon, params.exploration_temperature), params)


def training(welcome: Welcome, params: Maac) -> Training:
    """Critics that know everybody."""
    return training_with(welcome, params, lambda agents: [[j for j in range(agents) if j != i] for i in range(agents)])


def training_with(welcome: Welcome, params: Maac, others: Callable[[int], list[list[int]]]) -> Training:
    """The trainer's side, with critic i knowing pair i and `others(agents)[i]`."""
    cell = cell_of(welcome)

    def learner() -> Learner:
        from schemes.li2020.learner_maac import MaacLearner  # torch is loaded by who learns, and only then

        experience = Experience(cell, welcome.everyone[0].views[VIEW])
        known = tuple((i, *nearest) for i, nearest in enumerate(others(welcome.agents)))
        inner = MaacLearner(_settings(params, cell, experience.inputs, known), seed=welcome.seed)
        return AtTheCloud(inner, experience)

    return Training(
        learner=learner,
        layouts=[layout_of(welcome, agent) for agent in range(welcome.agents)],
        updates_per_turn=params.updates_per_upload,
        push_every_slots=params.push_every_slots,
        precision=params.weights,
        max_slots_unsent=params.max_slots_unsent,
    )


def _settings(params: Maac, cell: Cell, inputs: int, known: tuple[tuple[int, ...], ...]) -> Any:
    from schemes.li2020.learner_maac import MaacSettings

    return MaacSettings(
        inputs=inputs,
        n_actions=cell.n_actions,
        critic_inputs=known,
        actor_hidden=params.actor_hidden,
        critic_hidden=params.critic_hidden,
        actor_rate=params.actor_rate,
        critic_rate=params.critic_rate,
        discount=params.discount,
        tau=params.tau,
        replay_capacity=params.replay_capacity,
        centre_rewards=params.centre_rewards,
        batch=params.batch,
        temperature=params.gumbel_temperature,
        logit_penalty=params.logit_penalty,
    )


def choreography(_params: Maac) -> Choreography:
    """Everybody acts, then the trainer learns from what came up; outage bits only while there is something to learn."""
    turns = (agents_act(view=VIEW), trainer_learns())
    return Choreography(turns, feedback=("outage",), feedback_phases=("warmup", "train"))


SCHEME = Scheme(CARD, choreography, pair, params=Maac, training=training, learns=True)
