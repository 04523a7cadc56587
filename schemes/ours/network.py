"""A policy that was trained elsewhere, given as a file: every node acts by a network on what it measures.

The file's content is in the parameter `network`, with its hash: it reaches the nodes in the Welcome, before the first
slot, in every placement. That is no signalling: the policy is installed beforehand, as all parameters are.
"""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from protocol.messages.choreography import Choreography, agents_act
from protocol.messages.episodes import Mask
from protocol.messages.node import Welcome
from protocol.params import param
from schemes.contract import EVERY_WORLD, Card, NodePolicy, Scheme, TurnContext, TurnOutput
from schemes.ours import PAPER
from schemes.ours.policy_file import ActingNetwork, read
from schemes.ours.vectors import Inputs, Outputs
from schemes.parts.embedded_file import SUFFIXES, extract

CARD = Card(
    name="ours/network",
    summary="each node acts by a network that was trained elsewhere, given as a file",
    citation="ours",
    paper=PAPER,
    equations="a = outputs(net(x)); x: all numbers of the view, in the order of its fields, as float32; outputs, field "
    "by field: an integer in [low, high] is low + argmax of high - low + 1 outputs for each value, a float is "
    "low + (high - low) (1 + tanh y) / 2",
    worlds=EVERY_WORLD,
    observes="the view that the parameter `view` names",
    sends="nothing",
    fallback="silent",
)


@dataclass(frozen=True)
class NetworkParams:
    """The network and what it sees."""

    network: str | tuple[str, ...] = param(
        "", "the file of the network of all agents, .safetensors or .pt; or a list with a file for each", source="ours"
    )
    view: str = param("", "the view of the world that the network's inputs are", source="ours")


class NetworkNode(NodePolicy):
    """Its state is the carried state of a recurrent network [E, width]; a new episode begins with zeros."""

    def __init__(self, welcome: Welcome, params: NetworkParams) -> None:
        if params.view not in welcome.views:
            raise ValueError(f"view {params.view!r}: give one of {', '.join(welcome.views)}, the views of the world")
        self._inputs, self._outputs = Inputs(welcome.views[params.view]), Outputs(welcome.action)
        self._network = _network(welcome, params, self._inputs)
        if self._network.inputs != self._inputs.size:
            raise ValueError(
                f"the network takes {self._network.inputs} inputs, but the view {params.view!r} of {welcome.name} has "
                f"{self._inputs.size} numbers ({self._inputs.about})"
            )
        if self._network.outputs != self._outputs.size:
            raise ValueError(
                f"the network gives {self._network.outputs} outputs, but the action of {welcome.name} needs "
                f"{self._outputs.size} ({self._outputs.about})"
            )
        self._state = self._network.first_state(welcome.replicas)

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        y, self._state = self._network.step(self._inputs(turn.measurement), self._state)
        return TurnOutput(self._outputs(y))

    def restart(self, replicas: Mask) -> None:
        self._state = np.where(replicas[:, None], np.float32(0), self._state)

    def snapshot(self) -> dict[str, Any]:
        return {"state": self._state}

    def restore(self, data: dict[str, Any]) -> None:
        self._state = data["state"]


def choreography(params: NetworkParams) -> Choreography:
    return Choreography((agents_act(params.view),))


def _network(welcome: Welcome, params: NetworkParams, inputs: Inputs) -> ActingNetwork:
    """The agent's own network. ValueError if there is none, or if this machine cannot run it."""
    given = params.network
    if not given:
        raise ValueError(f"network: give the path of a file that ends in {' or '.join(SUFFIXES)}")
    if isinstance(given, tuple) and len(given) != welcome.agents:
        raise ValueError(f"network: {len(given)} files for {welcome.agents} agents; give one for all, or one for each")
    file = extract(given if isinstance(given, str) else given[welcome.index])
    if file.name.endswith(".pt") and find_spec("torch") is None:
        raise ValueError(f"{file.name} needs torch: pip install 'airtoll[learn]', or save the network as safetensors")
    return read(file, inputs.size)


SCHEME = Scheme(CARD, choreography, NetworkNode, params=NetworkParams)
