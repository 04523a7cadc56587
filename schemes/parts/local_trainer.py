"""The trainer's role on a node that learns by itself: joins its own histories and learns from them, unsent."""

from collections.abc import Callable, Mapping
from typing import Any

from schemes.contract import Learner
from schemes.parts.history import JointTrajectory, Layout, read_chunk
from schemes.parts.joiner import Joiner
from schemes.parts.learner_start import start_learner
from schemes.parts.numpy_nets import Weights


class LocalTrainer:
    """Learns from the node's own histories. `updates`: per call of `learn`.

    `learner` builds the learner, when `prepare` is called; `to_data`: rows to what it stores.
    """

    def __init__(
        self,
        learner: Callable[[], Learner],
        layout: Layout,
        to_data: Callable[[JointTrajectory], Any],
        *,
        updates: int,
    ) -> None:
        self._build_learner = learner
        self._learner: Learner | None = None
        self._to_data = to_data
        self._layout = layout
        self._joiner = Joiner([layout])
        self._updates, self._total_updates = updates, 0

    def prepare(self) -> None:
        """Build the learner, which may load torch; before all else."""
        self._learner = self._build_learner()

    @property
    def learner(self) -> Learner:
        """RuntimeError before `prepare`."""
        if self._learner is None:
            raise RuntimeError("the learner has not been built: call prepare() first")
        return self._learner

    def add(self, body: bytes) -> None:
        """Add the body of a history note."""
        self._joiner.add(0, read_chunk(body, self._layout))
        for joint in self._joiner.take():
            self.learner.add(self._to_data(joint))

    def learn(self) -> tuple[Mapping[str, float], Weights | None]:
        """Statistics of the updates with their total count, and the weights to act by from the next slot on.

        ({}, None) while there are too few transitions to learn from.
        """
        scalars = self.learner.learn(self._updates)
        if not scalars:
            return {}, None
        self._total_updates += self._updates
        return scalars | {"updates": self._total_updates}, self.learner.weights(0)

    def start(self, weights: Weights) -> None:
        """Begin with these weights. ValueError if they do not fit."""
        start_learner(self.learner, [weights])

    @property
    def weights(self) -> Weights:
        """Those that have been learnt so far."""
        return self.learner.weights(0)

    def snapshot(self) -> dict[str, Any]:
        """All state that learning depends on."""
        return {"learner": self.learner.save(), "joiner": self._joiner.snapshot(), "updates": self._total_updates}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self.learner.load(data["learner"])
        self._joiner.restore(data["joiner"])
        self._total_updates = data["updates"]
