"""The sequence of a campaign's faults, which follows from its seed."""

from collections.abc import Iterator
from itertools import count
from random import Random
from typing import NamedTuple

from tests.soak.campaign.kinds import KINDS


class Planned(NamedTuple):
    """A fault of the sequence: its round and kind; with the seed they determine what it draws."""

    round: int
    kind: str

    @property
    def scene_options(self) -> dict[str, bool]:
        """Those of its scene: four rounds have all of them."""
        return {"locked": self.round % 2 == 1, "resume": self.round % 4 > 1}


def sequence(seed: int, kinds: list[str]) -> Iterator[Planned]:
    """Faults without end: in each round every kind once, in a drawn order; rare kinds in some rounds only."""
    rng = Random(seed)
    for number in count():
        drawn = [kind for kind in kinds if number % KINDS[kind].every == 0]
        yield from (Planned(number, kind) for kind in rng.sample(drawn, len(drawn)))
