"""What a scheme is: who decides what, who tells whom, in which order within a slot.

Each scheme is a module `schemes/<paper>/<name>.py` that opens with its card and offers `SCHEME = Scheme(...)`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from protocol.determinism.rng import CounterRng
from protocol.messages.choreography import Choreography, Step
from protocol.messages.kinds import NEIGHBOURS, TRAINER, Kind
from protocol.messages.node import Note, ReceivedNote, Welcome
from protocol.messages.spaces import Records
from schemes.parts.history import JointHistory, Layout
from schemes.parts.weights import Precision


class TurnContext(NamedTuple):
    """A node's turn, decoded: its own measurement and inbox, nothing else.

    `measurement`: records [E] of the turn's view. `chance.at(episode, slot, turn)`: this node's own randomness.
    """

    slot: int
    turn: int
    step: Step
    phase: str
    episode: int
    measurement: Records
    inbox: list[ReceivedNote]
    chance: CounterRng

    def rng(self) -> np.random.Generator:
        """A generator at this position; the same each time it is asked for within a turn."""
        return self.chance.at(self.episode, self.slot, self.turn)


class TurnOutput(NamedTuple):
    """What a node does with its turn. `action`: records [E], or None to keep the last one.

    `scalars`: figures for people, such as losses; telemetry, not signalling.
    """

    action: Records | None = None
    notes: tuple[Note, ...] = ()
    scalars: Mapping[str, float] = MappingProxyType({})


NO_OUTPUT = TurnOutput()


class NodePolicy:
    """The deciding part of a node. Subclasses are plain objects: no socket, no clock, no global randomness."""

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        """One answer per turn."""
        raise NotImplementedError

    def close(self, turn: TurnContext) -> tuple[Note, ...]:
        """The closing turn: the last measurement and feedback; an agent may tell the trainer its last history."""
        return ()

    def on_episode(self, episode: int) -> None:
        """Called before the first turn of every episode."""

    def snapshot(self) -> dict[str, Any]:
        """All that `answer` remembers between turns: MessagePack types and numpy arrays."""
        return {}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""


class Learner(Protocol):
    """What learns, at the trainer or on a node: a plain object without I/O.

    `learn` does that many updates and returns figures about them, nothing while there is too little to learn from.
    `weights`: what a node of this index acts by. `save` and `load`: all state, so that learning goes on bit for bit.
    """

    def add(self, joint: JointHistory, /) -> None: ...
    def learn(self, updates: int, /) -> dict[str, float]: ...
    def weights(self, node: int, /) -> dict[str, npt.NDArray[np.float32]]: ...
    def save(self) -> dict[str, Any]: ...
    def load(self, data: dict[str, Any], /) -> None: ...


class Training(NamedTuple):
    """How a scheme learns. `learner` builds it, torch and all; `layouts`: what each agent's histories are made of;
    `max_slots_unsent`: of how many slots an agent tells nothing at most, between two histories."""

    learner: Callable[[], Learner]
    layouts: list[Layout]
    updates_per_turn: int
    push_every_slots: int
    precision: Precision
    max_slots_unsent: int


@dataclass(frozen=True)
class Card:
    """A scheme in words; `airtoll schemes` and the docs are written from it.

    `name`: paper/module. `worlds`: where it can run. `sees`: what an agent measures [shape, unit]. `tells`: notes and
    their size. `fallback`: what stands in for a lost agent's action.
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
    """A scheme's parts. `node` and `cloud` build the policies of an agent and of the trainer from the Welcome; in a
    scheme whose trainer learns, `training` says what. They raise ValueError with the cure when world and parameters do
    not fit. `learns`: whether it needs torch, which the extra `learn` installs.
    """

    card: Card
    choreography: Callable[[Any], Choreography]
    node: Callable[[Welcome, Any], NodePolicy]
    cloud: Callable[[Welcome, Any], NodePolicy] | None = None
    params: type = NoParams
    training: Callable[[Welcome, Any], Training] | None = None
    learns: bool = False


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
