"""Who learns from whose data: one learner per agent, one for all with a shared policy, or one that acts for all.

Each is a `Learner` around learners of one agent's data, N = 1. A learner that needs all agents' data as they are, such
as one with central critics, is a `Learner` by itself and needs none of these.
"""

from collections.abc import Sequence
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
import numpy.typing as npt

from schemes.parts.learner_start import start_learner

Weights = dict[str, npt.NDArray[np.float32]]


class AgentsData(Protocol):
    """`Transitions`, or a `Rollout`."""

    def of_agent(self, agent: int, /) -> Self: ...
    def pooled(self) -> Self: ...


class JoinableData(Protocol):
    """A `Rollout`."""

    def together(self) -> Self: ...


Data = TypeVar("Data")
Agents = TypeVar("Agents", bound=AgentsData)
Joinable = TypeVar("Joinable", bound=JoinableData)
DataIn = TypeVar("DataIn", contravariant=True)


class LearnerOf(Protocol[DataIn]):
    """`schemes.contract.Learner`, from data of any kind."""

    def add(self, data: DataIn, /) -> None: ...
    def learn(self, updates: int, /) -> dict[str, float]: ...
    def weights(self, node: int, /) -> Weights: ...
    def save(self) -> dict[str, Any]: ...
    def load(self, data: dict[str, Any], /) -> None: ...


class Independent(Generic[Agents]):
    """One learner per agent; none uses another's data."""

    def __init__(self, learners: Sequence[LearnerOf[Agents]]) -> None:
        self._learners = learners

    def add(self, data: Agents) -> None:
        """Give each learner its own agent's part."""
        for agent, learner in enumerate(self._learners):
            learner.add(data.of_agent(agent))

    def of(self, agent: int) -> LearnerOf[Agents]:
        """The agent's own learner: rows that are not joined with the others' go straight to it."""
        return self._learners[agent]

    def learn(self, updates: int) -> dict[str, float]:
        """Means over the agents that have enough data; {} while none has."""
        stats = [each for learner in self._learners if (each := learner.learn(updates))]
        return {key: float(np.mean([each[key] for each in stats])) for key in stats[0]} if stats else {}

    def weights(self, node: int) -> Weights:
        return self._learners[node].weights(0)

    def start(self, weights: Sequence[Weights]) -> None:
        """Each learner begins with its own agent's weights. ValueError if they do not fit."""
        for learner, own in zip(self._learners, weights, strict=True):
            start_learner(learner, [own])

    def save(self) -> dict[str, Any]:
        return {"agents": [learner.save() for learner in self._learners]}

    def load(self, data: dict[str, Any]) -> None:
        for learner, saved in zip(self._learners, data["agents"], strict=True):
            learner.load(saved)


class _OneForAll(Generic[Data]):
    """One learner, and the same weights for every node."""

    def __init__(self, learner: LearnerOf[Data]) -> None:
        self._learner = learner

    def learn(self, updates: int) -> dict[str, float]:
        return self._learner.learn(updates)

    def weights(self, node: int) -> Weights:
        return self._learner.weights(0)

    def start(self, weights: Sequence[Weights]) -> None:
        """The one learner begins with the one set of weights that all agents have. ValueError if they differ."""
        first = weights[0]
        if any(
            set(other) != set(first) or any(not np.array_equal(other[n], first[n]) for n in first) for other in weights
        ):
            raise ValueError("all agents share one network, but their weights differ: give those of one agent")
        start_learner(self._learner, weights[:1])

    def save(self) -> dict[str, Any]:
        return self._learner.save()

    def load(self, data: dict[str, Any]) -> None:
        self._learner.load(data)


class Pooled(_OneForAll[Agents]):
    """One learner of a policy that all agents share, from everyone's data: zhang2025 eq. (23), (24)."""

    def add(self, data: Agents) -> None:
        """Every agent's rows, as those of one in more replicas."""
        self._learner.add(data.pooled())


class Together(_OneForAll[Joinable]):
    """One learner of a policy that sees all agents' states, acts for all and earns their sum: khan2020, centralised."""

    def add(self, data: Joinable) -> None:
        """All agents' rows of a slot, as one."""
        self._learner.add(data.together())
