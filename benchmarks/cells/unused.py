"""What the contract of a world asks for and benchmarks do not use."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from channel_server.worlds.contract import InfrastructureNote, InfrastructureReport
from protocol.messages.kinds import CloudLink, LinkClass
from protocol.messages.spaces import Records, Space


class UnusedParts:
    """A world without infrastructure, probes and checkpoints; `actions`: the action space of each agent."""

    infrastructure: Sequence[str] = ()
    reports: Mapping[str, InfrastructureReport] = {}
    agent_link: LinkClass = LinkClass.BACKHAUL
    cloud_link: CloudLink = "backhaul"
    actions: Sequence[Space]
    _replicas: int

    def static_info(self, node: int) -> dict[str, Any]:
        return {}

    def silent(self, node: int) -> Records:
        return self.actions[node].empty(self._replicas)

    def random(self, node: int, rng: np.random.Generator) -> Records:
        return self.silent(node)

    def report(self, state: Any, name: str) -> list[InfrastructureNote]:
        raise KeyError(name)

    def probe(self, state: Any, actions: Sequence[Records]) -> NoReturn:
        raise NotImplementedError("a benchmark has no probes")

    def resample_unobserved(self, state: Any, view: str, node: int, rng: np.random.Generator) -> NoReturn:
        raise NotImplementedError("a benchmark is not tested for locality")

    def snapshot(self, state: Any) -> NoReturn:
        raise NotImplementedError("a benchmark has no checkpoints")

    def restore(self, data: dict[str, Any]) -> NoReturn:
        raise NotImplementedError("a benchmark has no checkpoints")
