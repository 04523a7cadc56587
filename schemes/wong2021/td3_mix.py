"""TD3-MIX, alone or before FLWF: an actor chooses the first powers of a slot, which k iterations then negotiate.

    p_b = pi_phi(S_b) + e,  e ~ N(0, sigma^2)                          alg. 1, line 7
    k iterations of FLWF from {p_b}; the rates then are the reward     line 8
    store (S, {p_b}, R, S'): the actor's powers, not those on the air  line 9
    twin critics mixed by QMIX, target smoothing, delayed updates      lines 11-16: `schemes.parts.nn.td3`

All base stations share one actor, which the BS/cloud trains on all histories and sends to them (CTDE). In evaluation no
node sends anything: the base stations probe. With `iterations: 0` it is the paper's TD3-MIX, whose powers go on the
air as they are.
"""

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge, Gt, Le

from protocol.messages.choreography import Choreography, trainer_learns
from protocol.messages.episodes import Mask
from protocol.messages.node import Note, Welcome
from protocol.messages.spaces import Records, Space
from protocol.params import param
from schemes.contract import Card, Join, Learner, NodePolicy, Scheme, Send, Training, TurnContext, TurnOutput
from schemes.parts.actor import Actor, Continuous
from schemes.parts.critic_inputs import own_agent
from schemes.parts.experience import Experience
from schemes.parts.exploration import GaussianNoise
from schemes.parts.history import Layout
from schemes.parts.learner_settings import Td3Settings
from schemes.parts.numpy_nets import Architecture, Floats, HiddenLayers, Network
from schemes.parts.numpy_nets.architecture import Activation, Linear, mlp
from schemes.parts.replay import check_batch
from schemes.parts.sense import Measured
from schemes.parts.uploads import EverySlots, Rows
from schemes.parts.weights import Precision
from schemes.wong2021 import PAPER
from schemes.wong2021.cells_info import CellsInfo, budget_of, cells_info, to_powers
from schemes.wong2021.negotiation import Negotiation, NegotiationSettings, negotiation_turns
from schemes.wong2021.situation import Situation

VIEW = "experience"

CARD = Card(
    name="wong2021/td3_mix",
    summary="a shared actor, trained at the BS/cloud by TD3 with QMIX, chooses the powers that FLWF starts from",
    citation="Wong et al. 2021, sec. IV, alg. 1; Fujimoto et al., ICML 2018; Rashid et al., ICML 2018",
    paper=PAPER,
    equations="(15)-(19), alg. 1 lines 7-16",
    worlds=("mumimo_cells",),
    observes="S_b: cost and quiet_cost [U, F, noise], budget; with observation: full H_b and W_b [F, M, U] complex; "
    "its rate in the previous slot for the reward; cost after each probe",
    sends="in training its history to the BS/cloud, and it receives the actor's weights, each acknowledged by 4 bytes; "
    "in evaluation nothing, once the last notes of training have arrived",
    deviations=(
        "1. line 13 prints no square and the target actions: the square of y - Q_tot(S, stored powers) is meant",
        "2. line 12 prints online critics in the target: target networks are used, as line 16 keeps them",
        "3. line 15 ascends the agents' own values: here the policy ascends Q_tot",
        "4. rewards are rates per user, and Q_tot learns their mean over the cells: a scale of the paper's sum",
        "5. sigma, c, d, tau and k are not given: TD3's own 0.1, 0.5, 2, 0.005, target noise 0.2, and k = 20",
        "6. an action is a share of the user's power for each channel, in [0, 1]; what lies above 1 in total is scaled "
        "down. The powers to which the scaling leads are the same for many actions",
        "7. costs enter the networks by their logarithms; quiet costs and the budget are inputs too",
        "8. histories go up every upload_every_slots, weights down every push_every_slots: the paper trains offline",
    ),
    reproduces="fig. 5-9 (W1-W7): see docs/reproduction/wong2021.md",
    fallback="silent",
)


@dataclass(frozen=True, kw_only=True)
class Td3Mix(NegotiationSettings, Td3Settings):
    """How TD3-MIX acts and learns. Defaults are the paper's where it gives any."""

    hidden: HiddenLayers = param((128, 128), "hidden layers of actor and critics", source="sec. V")
    exploration_noise: Annotated[float, Ge(0)] = param(
        0.1, "deviation of the noise on actions in training, on their scale of -1 to 1", source="fujimoto2018"
    )
    upload_every_slots: Annotated[int, Ge(1), Le(10_000)] = param(10, "slots between histories", source="ours")
    updates_per_upload: Annotated[int, Ge(0), Le(10_000)] = param(
        10, "updates per turn of the trainer: with 10 slots per upload the paper's one per slot", source="alg. 1"
    )
    push_every_slots: Annotated[int, Gt(0)] = param(100, "slots between pushes of weights", source="ours")
    weights: Precision = param("float32", "number format of the weights notes", source="ours")


class CellRate:
    """The cell's rate per user, which the next slot's first turn measures."""

    feedback = None

    def __init__(self, cells: CellsInfo) -> None:
        self._users = np.float32(cells.users)

    def of(self, action: Records, measured: Records, feedback: None) -> tuple[Floats, Mask]:
        return np.asarray(measured["rate"] / self._users, np.float32), np.ones(len(measured), bool)


class Td3MixNode(NodePolicy):
    """An actor for a slot's first turn, a negotiation for the others."""

    def __init__(self, welcome: Welcome, params: Td3Mix) -> None:
        cells, situation = cells_info(welcome), Situation(cells_info(welcome))
        space, size = welcome.action, cells.users * cells.channels
        architecture = policy_of(situation, size, params)
        self._iterates = params.iterations > 0
        self._negotiation = Negotiation(welcome, params.updates)
        self._actor = Actor(
            welcome,
            sense=Measured(welcome.views[VIEW], situation),
            network=lambda weights: Network(architecture, weights),
            behaviour=Continuous(
                lambda outputs: _to_shares(space, outputs),
                size,
                GaussianNoise(params.exploration_noise, -1, 1),
                replicas=welcome.replicas,
            ),
            rows=Rows(Layout(welcome.views[VIEW], space, welcome.replicas), CellRate(cells), timeout_slots=0),
            upload_rule=EverySlots(params.upload_every_slots),
        )

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        if turn.turn > 0:
            received = self._actor.receive_weights(turn)
            return TurnOutput(self._negotiation.update(turn), scalars=received)
        output = self._actor.on_turn(turn)
        if self._iterates and output.action is not None:
            self._negotiation.start(to_powers(output.action, budget_of(turn.measurement)), turn)
        return output

    def close(self, turn: TurnContext) -> tuple[Note, ...]:
        return self._actor.close(turn)

    def restart(self, replicas: Mask) -> None:
        self._actor.restart(replicas)

    def start_from(self, weights: Any) -> None:
        self._actor.start_from(weights)

    def snapshot(self) -> dict[str, Any]:
        return {"actor": self._actor.snapshot(), "negotiation": self._negotiation.snapshot()}

    def restore(self, data: dict[str, Any]) -> None:
        self._actor.restore(data["actor"])
        self._negotiation.restore(data["negotiation"])


def policy_of(situation: Situation, size: int, params: Td3Mix) -> Architecture:
    """From S_b to `size` numbers in [-1, 1]."""
    hidden = mlp(situation.inputs, params.hidden, Linear(size))
    return Architecture(hidden.inputs, (*hidden.layers, Activation("tanh")))


def training(welcome: Welcome, params: Td3Mix) -> Training:
    """The trainer's side. ValueError for a batch that the replay never holds."""
    check_batch(params.batch, params.replay_capacity, welcome.replicas)
    cells, situation = cells_info(welcome), Situation(cells_info(welcome))
    size = cells.users * cells.channels

    def learner() -> Learner:
        from schemes.parts.nn.td3 import Td3Learner  # loads torch, which only a learning trainer needs

        return Td3Learner(
            params,
            policy=policy_of(situation, size, params),
            value=mlp(situation.inputs + size, params.hidden, Linear(1)),
            critic_inputs=own_agent(welcome.agents),
            seed=welcome.seed,
        )

    return Training(
        learner=learner,
        updates_per_turn=params.updates_per_upload,
        join=Join(
            how="together",
            layouts=[Layout(each.views[VIEW], each.action, welcome.replicas) for each in welcome.everyone],
            to_data=Experience(situation, _from_shares).transitions,
            max_upload_interval_slots=params.upload_every_slots,
        ),
        send=Send(to="all" if params.shared else "each", every_slots=params.push_every_slots, precision=params.weights),
    )


def _to_shares(space: Space, outputs: Floats) -> Records:
    """Outputs [E, U F] in [-1, 1] as shares in [0, 1]: deviation 6."""
    records = space.empty(len(outputs))
    records["share"] = ((outputs + 1) / 2).reshape(records["share"].shape)
    return records


def _from_shares(action: Records) -> Floats:
    """The inverse of `_to_shares`, of records of any shape: [..., U F]."""
    shares = action["share"]
    return np.asarray(2 * shares.reshape(*action.shape, -1) - 1, np.float32)


def choreography(params: Td3Mix) -> Choreography:
    return Choreography((*negotiation_turns(params, VIEW), trainer_learns()))


SCHEME = Scheme(CARD, choreography, Td3MixNode, params=Td3Mix, training=training, learns=True, needs=("torch",))
