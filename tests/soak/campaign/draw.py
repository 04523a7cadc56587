"""What a fault draws: everything follows from the campaign's seed, the round and the kind."""

from collections.abc import Sequence
from random import Random
from typing import TypeVar

_T = TypeVar("_T")


class Draw(Random):
    """A source of random numbers of one fault. `variant`: one after the other, round by round, in a drawn order."""

    def __init__(self, seed: int, number: int, kind: str) -> None:
        super().__init__(f"{seed} {number} {kind}")
        self._order, self._number = Random(f"{seed} {kind}"), number

    def variant(self, of: Sequence[_T]) -> _T:
        """The variant of this round; call it once per fault."""
        return self._order.sample(of, len(of))[self._number % len(of)]
