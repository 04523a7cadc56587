"""MAPPO's settings, and an agent's networks: what acts, what learns, and the rows between them."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Le

from protocol.messages.node import Welcome
from protocol.params import param
from schemes.contract import Learner
from schemes.parts.actor import choices_space
from schemes.parts.distributions import Categorical
from schemes.parts.experience import Experience
from schemes.parts.history import JointTrajectory, Layout
from schemes.parts.learner_settings import AtLeastOne, Discount, OptimiserName, Positive, PpoSettings
from schemes.parts.numpy_nets import Architecture, HiddenLayers, Network, Weights
from schemes.parts.numpy_nets.architecture import Gru, Layer, Linear, Lstm, mlp
from schemes.parts.rollout import Rollout
from schemes.parts.weights import Precision
from schemes.zhang2025.cellular_cell import cellular_cell, cellular_cells, is_cellular
from schemes.zhang2025.graph_cell import graph_cell, graph_cells
from schemes.zhang2025.local_cell import LocalCell
from schemes.zhang2025.neighbourhood import ExchangeSettings, Padded


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
    """The agent's own."""
    cell = cellular_cell(welcome) if is_cellular(welcome) else graph_cell(welcome)
    return Networks(params, cell, welcome.replicas)


def networks_of_all(welcome: Welcome, params: Mappo) -> list[Networks]:
    """Every agent's, for the trainer. ValueError for a shared policy of agents that have networks of other shapes."""
    cells = cellular_cells(welcome) if is_cellular(welcome) else graph_cells(welcome)
    everyone = [Networks(params, cell, welcome.replicas) for cell in cells]
    if params.policies == "shared" and len({networks.policy for networks in everyone}) > 1:
        devices = max(networks.vector.devices for networks in everyone)
        neighbours = max(networks.vector.neighbours for networks in everyone)
        raise ValueError(
            "policies: shared needs networks of one shape, and agents have different numbers of devices or neighbours: "
            f"set scheme.max_devices to {devices} or more and scheme.max_neighbours to {neighbours} or more"
        )
    return everyone
