"""MAPPO on local information: access points schedule by recurrent policies, from own and neighbours' queues.

    A(t) = sum_l (gamma lambda)^l (R(t+l) + gamma V(t+l+1) - V(t+l))                      eq. (19)
    L = mean max((V - G)^2, (clip(V, V_old +- eps) - G)^2)       G = A + V_old             eq. (20), deviation 1
    J = mean min(r A, clip(r, 1 - eps, 1 + eps) A) + delta mean H(pi)                      eq. (21), (22)

With `policies: separate` each agent has networks of its own and learns from its own rows alone (alg. 1), on the node or
at the trainer. With `policies: shared` one pair of networks learns from everyone's rows (eq. 23, 24), at the trainer,
which sends the same weights to all. What an agent knows and earns: `neighbourhood`; what its cell is in a world:
`local_cell`. The learner: `schemes.parts.nn.ppo`.
"""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le

from protocol.messages.choreography import Choreography, agents_act, agents_exchange, trainer_learns
from protocol.messages.node import Welcome
from protocol.params import param
from schemes.contract import Card, Join, Learner, Scheme, Send, Training
from schemes.parts.actor import Actor, Drawn, choices_space
from schemes.parts.distributions import Categorical
from schemes.parts.experience import Experience
from schemes.parts.history import JointTrajectory, Layout
from schemes.parts.learner_settings import AtLeastOne, Discount, OptimiserName, Positive, PpoSettings
from schemes.parts.local_trainer import LocalTrainer
from schemes.parts.numpy_nets import Architecture, HiddenLayers, Network, Weights
from schemes.parts.numpy_nets.architecture import Gru, Layer, Linear, Lstm, mlp
from schemes.parts.rollout import Rollout
from schemes.parts.uploads import EverySlots, Rows
from schemes.parts.weights import Precision
from schemes.zhang2025 import PAPER
from schemes.zhang2025.cellular_cell import cellular_cell, cellular_cells, is_cellular
from schemes.zhang2025.graph_cell import graph_cell, graph_cells
from schemes.zhang2025.local_cell import LocalCell
from schemes.zhang2025.neighbourhood import ExchangeSettings, Neighbourhood, NeighbourhoodReward, Padded

CARD = Card(
    name="zhang2025/mappo",
    summary="recurrent policies on own and neighbours' queues, learnt by PPO: separate on the nodes, or one shared",
    citation="Zhang and Guo 2025, sec. III, alg. 1",
    paper=PAPER,
    equations="(7)-(10), (19)-(24)",
    worlds=("conflict_graph", "traffic_cells"),
    observes="X_k: the queue lengths zeta of the own devices, measured, and of the neighbours' by their notes "
    "[n_around, tasks], each as log2(1 + zeta) and zeta / 10; own queues at the end of the last slot for the reward",
    sends="neighbour: to all neighbours 2 bytes per own device and slot, in training 4 bytes more, the backlog that "
    "their rewards need; fig. 2: 4 bytes per agent and wire, 8 in training. Separate policies that learn on the node "
    "send nothing else; at the trainer histories and weights, see docs/reproduction/zhang2025-mappo.md",
    deviations=(
        "1. eq. (20) prints values fitted to the advantage A; they are fitted to the return A + V_old",
        "2. clip 0.2, 15 epochs, 1 minibatch, Huber loss from 10, gradient cap 10, normalised values and advantages "
        "and orthogonal first weights are the authors' code's or yu2022's; the text gives none",
        "3. inputs are log2(1 + zeta) and zeta / 10; the text leaves their scale open",
        "4. what the recurrent policy carries begins at zero with new weights, as in the paper, where networks are "
        "updated between episodes",
        "5. an episode that a queue bound cuts off is valued as if it went on from its last slot",
        "6. until its first weights arrive an agent chooses uniformly, as the first policy nearly does",
        "7. evaluation takes the most probable choices (evaluates: best) or draws; the text does not say",
    ),
    reproduces="fig. 7, 8 (Z1-Z3): see docs/reproduction/zhang2025-mappo.md",
    fallback="silent",
)


@dataclass(frozen=True, kw_only=True)
class Mappo(ExchangeSettings, PpoSettings):
    """How MAPPO learns. Defaults are the paper's; where it gives none, its authors' code's."""

    policies: Literal["separate", "shared"] = param(
        "separate",
        "separate: an agent's networks learn from its own rows; shared: all have the same",
        source="III-B, D",
    )
    learns_at: Literal["node", "trainer"] = param("node", "where separate policies learn", source="alg. 1")
    recurrent: Literal["lstm", "gru", "none"] = param(
        "lstm", "the first layer of both networks", source="III-A; the authors' code has a GRU"
    )
    recurrent_units: AtLeastOne = param(64, "its width", source="table II")
    hidden: HiddenLayers = param((64, 64), "hidden layers after it", source="table II")
    layer_norm: bool = param(False, "normalise hidden layers", source="authors' code has it")
    evaluates: Literal["best", "drawn"] = param("best", "how evaluation chooses", source="ours")
    upload_every_slots: Annotated[int, Ge(1), Le(10_000)] = param(
        2000, "slots between histories, over which advantages are summed", source="IV-B: an episode"
    )
    push_every_slots: AtLeastOne = param(1, "slots between pushes of weights by the trainer", source="ours")
    weights: Precision = param("float32", "number format of the weights notes", source="ours")
    policy_rate: Positive = param(1e-4, "learning rate of the policy", source="table II")
    value_rate: Positive = param(1e-4, "learning rate of the value network", source="table II")
    optimiser: OptimiserName = param("rmsprop", "optimiser of both", source="table II; the authors' code has Adam")
    discount: Discount = param(0.995, "gamma", source="table II")
    epochs: AtLeastOne = param(15, "passes over the rows", source="authors' code")
    rows_per_iteration: AtLeastOne = param(
        2000, "slots x replicas of each agent before learning", source="IV-B: an episode"
    )


class Networks:
    """An agent's networks, and how its rows become what they learn from.

    ValueError for a shared policy that would learn on a node, and for more devices or neighbours than there are inputs.
    """

    def __init__(self, params: Mappo, cell: LocalCell, replicas: int) -> None:
        if params.policies == "shared" and params.learns_at == "node":
            raise ValueError("scheme.learns_at: a shared policy learns from all agents' rows: set it to trainer")
        self._params, self.cell = params, cell
        self.vector = Padded(cell, params)
        self.distribution = Categorical(cell.choices(self.vector.devices))
        self.policy, self.value = self._network(self.distribution.outputs), self._network(1)
        self.layout = Layout(
            self.vector.space, choices_space(self.distribution), replicas, carried=self.policy.state_size
        )
        self._experience = Experience(self.vector, lambda records: records["choices"].astype(np.int64))

    def rollout(self, joint: JointTrajectory) -> Rollout:
        """The agent's rows."""
        return self._experience.rollout(joint)

    def acting(self, weights: Weights) -> Network:
        """The policy with these weights. ValueError if they do not fit."""
        return Network(self.policy, weights)

    def learner(self, seed: int, node: int, agents: int = 1) -> Learner:
        """Of so many agents that share it."""
        from schemes.parts.nn.on_policy import OnPolicyLearner  # loads torch, which only learning needs

        rows = self._params.rows_per_iteration * agents
        return OnPolicyLearner(
            replace(self._params, rows_per_iteration=rows),
            policy=self.policy,
            distribution=self.distribution,
            value=self.value,
            seed=seed,
            node=node,
        )

    def _network(self, outputs: int) -> Architecture:
        """A recurrent layer that embeds the history, then a perceptron: section III-A."""
        params, recurrent = self._params, list[Layer]()
        if params.recurrent != "none":
            recurrent = [(Lstm if params.recurrent == "lstm" else Gru)(params.recurrent_units)]
        width = params.recurrent_units if recurrent else self.vector.inputs
        head = mlp(width, params.hidden, Linear(outputs), layer_norm=params.layer_norm)
        return Architecture(self.vector.inputs, (*recurrent, *head.layers))


def networks_of(welcome: Welcome, params: Mappo) -> Networks:
    """An agent's own."""
    cell = cellular_cell(welcome) if is_cellular(welcome) else graph_cell(welcome)
    return Networks(params, cell, welcome.replicas)


def agent(welcome: Welcome, params: Mappo) -> Actor:
    """An access point."""
    networks = networks_of(welcome, params)
    neighbourhood = Neighbourhood(networks.cell, params, networks.vector, replicas=welcome.replicas)
    local_trainer = LocalTrainer(
        lambda: networks.learner(welcome.seed, welcome.index), networks.layout, networks.rollout, updates=1
    )
    return Actor(
        welcome,
        sense=neighbourhood,
        network=networks.acting,
        behaviour=Drawn(
            networks.cell.action, networks.distribution, replicas=welcome.replicas, evaluates=params.evaluates
        ),
        rows=Rows(networks.layout, NeighbourhoodReward(neighbourhood), timeout_slots=0),
        upload_rule=EverySlots(params.upload_every_slots),
        local_trainer=local_trainer if params.learns_at == "node" else None,
        exchange=neighbourhood.exchange,
    )


def training(welcome: Welcome, params: Mappo) -> Training:
    """The trainer's side. ValueError for a shared policy of agents that have networks of different shapes."""
    cells = cellular_cells(welcome) if is_cellular(welcome) else graph_cells(welcome)
    everyone = [Networks(params, cell, welcome.replicas) for cell in cells]
    if params.policies == "shared":
        _check_alike(everyone)

    def learner() -> Learner:
        from schemes.parts.nn.learning import Independent, Pooled

        if params.policies == "shared":
            return Pooled(everyone[0].learner(welcome.seed, 0, len(everyone)))
        return Independent([networks.learner(welcome.seed, k) for k, networks in enumerate(everyone)])

    return Training(
        learner=learner,
        updates_per_turn=1,
        join=Join(
            how="pooled" if params.policies == "shared" else "alone",
            layouts=[networks.layout for networks in everyone],
            to_data=lambda joint: everyone[joint.agents[0]].rollout(joint),
            max_upload_interval_slots=params.upload_every_slots,
        ),
        send=Send(
            to="all" if params.policies == "shared" else "each",
            every_slots=params.push_every_slots,
            precision=params.weights,
        ),
    )


def choreography(params: Mappo) -> Choreography:
    """Neighbours exchange what they know, all act, and a trainer learns, if that is where learning happens."""
    exchange = () if params.neighbour_notes == "off" else (agents_exchange("local"),)
    learn = (trainer_learns(),) if params.learns_at == "trainer" else ()
    return Choreography((*exchange, agents_act("local"), *learn))


def _check_alike(everyone: list[Networks]) -> None:
    if len({networks.policy for networks in everyone}) > 1:
        devices = max(networks.vector.devices for networks in everyone)
        neighbours = max(networks.vector.neighbours for networks in everyone)
        raise ValueError(
            "policies: shared needs networks of one shape, and agents have different numbers of devices or neighbours: "
            f"set scheme.max_devices to {devices} or more and scheme.max_neighbours to {neighbours} or more"
        )


SCHEME = Scheme(CARD, choreography, agent, params=Mappo, training=training, learns=True, needs=("torch",))
