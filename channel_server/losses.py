"""Which copies of a note are lost: drawn when it is told, at a position of chance."""

import numpy as np

from protocol.determinism.rng import CounterRng
from protocol.messages.kinds import Kind, LinkClass
from protocol.messages.signalling import SignallingPlan


class Losses:
    """Draws one number per receiver, also for notes that nothing can happen to, so that a rule shifts no other note's
    chance. Without a rule that loses, nothing is drawn."""

    def __init__(self, plan: SignallingPlan, seed: int) -> None:
        self._loss = {(rule.link, rule.kind): rule.loss for rule in plan.rules if rule.loss}
        self._seed = seed
        self._sources: dict[int, _Source] = {}

    def survivors(
        self, slot: int, turn: int, source: int, link: LinkClass, kind: Kind, to: tuple[int, ...]
    ) -> tuple[int, ...]:
        """Those of `to` who do not lose their copy."""
        return self._drawn(self._at(slot, turn, source), link, kind, to) if self._loss else to

    def survivors_of_resending(self, slot: int, link: LinkClass, node: int) -> tuple[int, ...]:
        """The same of weights that are told again to a node that came back: a chance of its own, so that a rejoin
        shifts nobody else's."""
        if not self._loss:
            return (node,)
        return self._drawn(CounterRng(self._seed, "retelling", node).at(0, slot), link, Kind.WEIGHTS, (node,))

    def _drawn(self, rng: np.random.Generator, link: LinkClass, kind: Kind, to: tuple[int, ...]) -> tuple[int, ...]:
        loss = self._loss.get((link, kind), 0.0)
        return tuple([node for node in to if rng.random() >= loss])

    def _at(self, slot: int, turn: int, source: int) -> np.random.Generator:
        """One generator for all that a source tells in a turn."""
        if source not in self._sources:
            self._sources[source] = _Source(CounterRng(self._seed, "signalling", source))
        return self._sources[source].at(slot, turn)


class _Source:
    """A source's chance, at the moment at which it last told something."""

    def __init__(self, chance: CounterRng) -> None:
        self._chance = chance
        self._generator = chance.at(0, 0)
        self._moment = (-1, -1)

    def at(self, slot: int, turn: int) -> np.random.Generator:
        if (slot, turn) != self._moment:
            self._moment = (slot, turn)
            self._chance.move(self._generator, 0, slot, turn)
        return self._generator
