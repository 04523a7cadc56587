"""A run in processes in which one node sleeps before every reply."""

import sys
import time

from agent_node.edge import run_node
from controller.execution.building import policy_builder
from controller.execution.local_machine import LocalMachine
from controller.execution.machine import Process
from controller.execution.processes import NodeProcesses
from protocol.messages.episodes import Mask
from protocol.messages.node import Welcome
from protocol.messages.plan import RunPlan
from schemes.contract import NodePolicy, TurnContext, TurnOutput


class Slowed(NodePolicy):
    """A policy that sleeps before every turn."""

    def __init__(self, policy: NodePolicy, seconds: float) -> None:
        self._policy = policy
        self._seconds = seconds

    def restart(self, replicas: Mask) -> None:
        self._policy.restart(replicas)

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        time.sleep(self._seconds)
        return self._policy.on_turn(turn)


class WithSlowNode(NodeProcesses):
    """The node of this name sleeps so many seconds before each of its replies."""

    def __init__(self, plan: RunPlan, name: str, seconds: float) -> None:
        super().__init__(plan)
        self._slow, self._seconds = name, seconds

    def start_node(self, name: str) -> Process:
        if name != self._slow:
            return super().start_node(name)
        self.nodes[name] = LocalMachine().start(slow_process, self.endpoint, self.plan.run_id, name, self._seconds)
        return self.nodes[name]


def slow_process(endpoint: str, run_id: str, name: str, seconds: float) -> None:
    """The slow node's process."""

    def build(welcome: Welcome) -> NodePolicy:
        return Slowed(policy_builder(name)(welcome), seconds)

    sys.exit(run_node(endpoint, run_id, name, build))
