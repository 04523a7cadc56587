"""The trainer's role on a node that learns by itself: joins its own histories and learns from them, unsent."""

from collections.abc import Callable, Mapping
from typing import Any

from schemes.contract import Learner
from schemes.parts.history import Joiner, JointTrajectory, Layout, read_chunk
from schemes.parts.learner_start import start_learner
from schemes.parts.numpy_nets import Weights
from schemes.parts.replay import Transitions


class LocalTrainer:
    """Learns from the node's own histories. `updates`: per call of `learn`."""

    def __init__(
        self,
        learner: Learner,
        layout: Layout,
        to_transitions: Callable[[JointTrajectory], Transitions],
        *,
        updates: int,
    ) -> None:
        self._learner = learner
        self._to_transitions = to_transitions
        self._layout = layout
        self._joiner = Joiner([layout])
        self._updates, self._total_updates = updates, 0

    def add(self, body: bytes) -> None:
        """Add the body of a history note."""
        self._joiner.add(0, read_chunk(body, self._layout))
        for joint in self._joiner.take():
            self._learner.add(self._to_transitions(joint))

    def learn(self) -> tuple[Mapping[str, float], Weights | None]:
        """Statistics of the updates with their total count, and the weights to act by from the next slot on.

        ({}, None) while there are too few transitions to learn from.
        """
        scalars = self._learner.learn(self._updates)
        if not scalars:
            return {}, None
        self._total_updates += self._updates
        return scalars | {"updates": self._total_updates}, self._learner.weights(0)

    def start(self, weights: Weights) -> None:
        """Begin with these weights. ValueError if they do not fit."""
        start_learner(self._learner, [weights])

    @property
    def weights(self) -> Weights:
        """Those that have been learnt so far."""
        return self._learner.weights(0)

    def snapshot(self) -> dict[str, Any]:
        """All state that learning depends on."""
        return {"learner": self._learner.save(), "joiner": self._joiner.snapshot(), "updates": self._total_updates}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._learner.load(data["learner"])
        self._joiner.restore(data["joiner"])
        self._total_updates = data["updates"]
