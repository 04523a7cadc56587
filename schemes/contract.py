"""What a scheme is: who decides what, who tells whom, in which order within a slot.

Each scheme is a module `schemes/<paper>/<name>.py` that opens with its card and offers `SCHEME = Scheme(...)`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal, NamedTuple

import numpy as np

from protocol.chance import Chance
from protocol.choreography import Choreography, Step
from protocol.kinds import NEIGHBOURS, TRAINER, Kind
from protocol.messages import Letter, Note, Welcome
from protocol.spaces import Records


class Moment(NamedTuple):
    """A node's turn, decoded: its own measurement and inbox, nothing else.

    `measurement`: records [E] of the turn's view. `chance.at(episode, slot, turn)`: this node's own randomness.
    """

    slot: int
    turn: int
    step: Step
    phase: str
    episode: int
    measurement: Records
    inbox: list[Letter]
    chance: Chance

    def rng(self) -> np.random.Generator:
        """A generator at this position; the same each time it is asked for within a turn."""
        return self.chance.at(self.episode, self.slot, self.turn)


class Answer(NamedTuple):
    """What a node does with its turn. `action`: records [E], or None to keep the last one."""

    action: Records | None = None
    notes: tuple[Note, ...] = ()


NOTHING = Answer()


class NodePolicy:
    """The deciding part of a node. Subclasses are plain objects: no socket, no clock, no global randomness."""

    def answer(self, now: Moment) -> Answer:
        """One answer per turn."""
        raise NotImplementedError

    def close(self, now: Moment) -> None:
        """The closing turn: the last measurement and feedback; nothing is answered."""

    def begin_episode(self, episode: int) -> None:
        """Called before the first turn of every episode."""

    def snapshot(self) -> dict[str, Any]:
        """All that `answer` remembers between turns: MessagePack types and numpy arrays."""
        return {}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""


@dataclass(frozen=True)
class Card:
    """A scheme in words; `airtoll schemes` and the docs are written from it.

    `name`: paper/module. `worlds`: where it can run. `sees`: what an agent measures [shape, unit]. `tells`: notes and
    their size. `fallback`: what stands in for a lost agent's action. `replicas`: whether E > 1 is supported.
    """

    name: str
    summary: str
    citation: str
    equations: str
    worlds: tuple[str, ...]
    sees: str
    tells: str
    deviations: tuple[str, ...] = ()
    reproduces: str = ""
    fallback: Literal["hold", "silent", "random"] = "silent"


@dataclass(frozen=True)
class NoParams:
    """A scheme without parameters."""


@dataclass(frozen=True)
class Scheme:
    """A scheme's parts. `node` and `cloud` build the policies of an agent and of the trainer from the Welcome.

    They raise ValueError with the cure when world and parameters do not fit.
    """

    card: Card
    choreography: Callable[[Any], Choreography]
    node: Callable[[Welcome, Any], NodePolicy]
    cloud: Callable[[Welcome, Any], NodePolicy] | None = None
    params: type = field(default=NoParams)


def load(name: str) -> Scheme:
    """The scheme `paper/module`, as in the Welcome."""
    paper, _, module = name.partition("/")
    if not (paper.isidentifier() and module.isidentifier()):
        raise ValueError(f"{name!r} is not a scheme's name; expected paper/module, such as li2020/random")
    scheme: Scheme = import_module(f"schemes.{paper}.{module}").SCHEME
    return scheme


def broadcast(kind: Kind, body: bytes, *, payload_bits: int | None = None) -> Note:
    """One note to all neighbours, charged once on the air."""
    return Note((NEIGHBOURS,), kind, body, payload_bits)


def to_trainer(kind: Kind, body: bytes, *, payload_bits: int | None = None) -> Note:
    """One note to the trainer."""
    return Note((TRAINER,), kind, body, payload_bits)
