"""Which copies of a note are lost: drawn when it is sent, from the counter-based generator of its source."""

import numpy as np

from protocol.determinism.rng import CounterRng
from protocol.messages.kinds import Kind, LinkClass
from protocol.messages.signalling import SignallingPlan


class Losses:
    """Draws one number per receiver, also for notes that no rule can lose, so that a rule does not change the draws of
    other notes. Without a rule with losses nothing is drawn."""

    def __init__(self, plan: SignallingPlan, seed: int) -> None:
        self._loss = {(rule.link, rule.kind): rule.loss for rule in plan.rules if rule.loss}
        self._seed = seed
        self._sources: dict[int, _SourceRng] = {}

    def survivors(
        self, slot: int, turn: int, source: int, link: LinkClass, kind: Kind, to: tuple[int, ...]
    ) -> tuple[int, ...]:
        """Those of `to` that do not lose their copy."""
        return self._drawn(self._at(slot, turn, source), link, kind, to) if self._loss else to

    def survivors_of_resending(self, slot: int, link: LinkClass, node: int) -> tuple[int, ...]:
        """The same of weights that the relay itself sends to a node: drawn from a generator of their own, so that a
        rejoin does not change the draws of other notes."""
        if not self._loss:
            return (node,)
        rng = CounterRng(self._seed, "retelling", node).at(slot)  # the purpose is part of the key: renaming redraws
        return self._drawn(rng, link, Kind.WEIGHTS, (node,))

    def _drawn(self, rng: np.random.Generator, link: LinkClass, kind: Kind, to: tuple[int, ...]) -> tuple[int, ...]:
        loss = self._loss.get((link, kind), 0.0)
        return tuple([node for node in to if rng.random() >= loss])

    def _at(self, slot: int, turn: int, source: int) -> np.random.Generator:
        """One generator for all that a source sends in a turn."""
        if source not in self._sources:
            self._sources[source] = _SourceRng(CounterRng(self._seed, "signalling", source))
        return self._sources[source].at(slot, turn)


class _SourceRng:
    """A source's generator, at the slot and turn in which the source last sent something."""

    def __init__(self, rng: CounterRng) -> None:
        self._rng = rng
        self._generator = rng.at(0)
        self._position = (-1, -1)

    def at(self, slot: int, turn: int) -> np.random.Generator:
        if (slot, turn) != self._position:
            self._position = (slot, turn)
            self._rng.move(self._generator, slot, turn)
        return self._generator
