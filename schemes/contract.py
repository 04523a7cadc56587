"""The contract of a scheme: what each node decides, which notes nodes send each other, in which order within a slot.

Each scheme is a module `schemes/<paper>/<name>.py` that opens with its card and offers `SCHEME = Scheme(...)`.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from protocol import plugins
from protocol.determinism.rng import CounterRng
from protocol.messages.choreography import Choreography, Step
from protocol.messages.episodes import Ends, Mask
from protocol.messages.kinds import NEIGHBOURS, TRAINER, Kind
from protocol.messages.node import Note, ReceivedNote, Welcome
from protocol.messages.phases import TrainingProgress
from protocol.messages.spaces import Records
from schemes.parts.history import JointTrajectory, Layout
from schemes.parts.note_reader import Content, NoteReader, UnreadNote
from schemes.parts.replay import Transitions
from schemes.parts.weights import Precision


class TurnContext(NamedTuple):
    """A node's turn, decoded: its own measurement and inbox, nothing else.

    `inbox`: notes as they came, to be read with `read`. `measurement`: records [E] of the turn's view. `ended` [E]: how
    the episodes ended that did since the node's last turn, 0 for those that go on; what this turn measures of the slot
    before still belongs to the ended ones. `counter_rng.at(slot, turn)`: the node's own generator. `unread`: notes that
    could not be read, so far.
    """

    slot: int
    turn: int
    step: Step
    phase: str
    ended: Ends
    measurement: Records
    inbox: list[ReceivedNote]
    counter_rng: CounterRng
    unread: list[UnreadNote]
    training: TrainingProgress = TrainingProgress(())

    @property
    def progress(self) -> float:
        """How far training is, 0 to 1: the share of the run's training slots that lie before this one."""
        return self.training.at(self.slot)

    def read(self, reader: NoteReader[Content]) -> Iterator[tuple[ReceivedNote, Content]]:
        """The notes of the reader's kind with their contents, in the order of the inbox. Those that cannot be read are
        left out and added to `unread`."""
        for note in self.inbox:
            if note.kind != reader.kind:
                continue
            try:
                content = reader.read(note)
            except ValueError as error:
                self.unread.append(UnreadNote(note, str(error)))
            else:
                yield note, content

    def rng(self) -> np.random.Generator:
        """The generator of this position; every call within a turn returns the same one, at its beginning."""
        return self.counter_rng.at(self.slot, self.turn)


class TurnOutput(NamedTuple):
    """What a node does in its turn. `action`: records [E], or None to keep the last one.

    `scalars`: telemetry for people, such as losses and the `policy_version` in use; it is not signalling and is not in
    the trace.
    """

    action: Records | None = None
    notes: tuple[Note, ...] = ()
    scalars: Mapping[str, float] = MappingProxyType({})


NO_OUTPUT = TurnOutput()


class NodePolicy:
    """The decision logic of a node. Subclasses are plain objects: no socket, no clock, no global randomness."""

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        """The output of one turn."""
        raise NotImplementedError

    def close(self, turn: TurnContext) -> tuple[Note, ...]:
        """The closing turn, after the last slot: an agent reads its last measurement and may send its last history."""
        return ()

    def restart(self, replicas: Mask) -> None:
        """New episodes begin in these replicas, [E]: forget what belongs to the old ones. Called before the next turn's
        `on_turn`, whose `ended` says how they ended."""

    def snapshot(self) -> dict[str, Any]:
        """All state kept between turns: MessagePack types and numpy arrays."""
        return {}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""


class Learner(Protocol):
    """A learning algorithm, at the trainer or on a node: a plain object without I/O.

    `add` stores transitions. `learn` does that many updates and returns their mean statistics; while there are too few
    transitions it does nothing and returns {}. `weights`: the actor of the agent with this index. `save` and `load`
    cover all state, so that a loaded learner continues bit for bit.
    """

    def add(self, transitions: Transitions, /) -> None: ...
    def learn(self, updates: int, /) -> dict[str, float]: ...
    def weights(self, node: int, /) -> dict[str, npt.NDArray[np.float32]]: ...
    def save(self) -> dict[str, Any]: ...
    def load(self, data: dict[str, Any], /) -> None: ...


class Training(NamedTuple):
    """How a scheme learns at the trainer.

    `learner` builds the learner and loads torch. `layouts`: the rows of each agent's histories. `to_transitions`:
    joined rows to the arrays that the learner stores. `max_upload_interval_slots`: the largest number of slots between
    two histories of an agent.
    """

    learner: Callable[[], Learner]
    layouts: list[Layout]
    to_transitions: Callable[[JointTrajectory], Transitions]
    updates_per_turn: int
    push_every_slots: int
    precision: Precision
    max_upload_interval_slots: int


EVERY_WORLD = ("*",)  # on the card of a scheme that needs nothing of its world but views and actions


@dataclass(frozen=True, kw_only=True)
class Card:
    """A scheme's description: the source of `airtoll schemes NAME` and of the docs' tables.

    `name`: paper/module. `citation`: short reference and section. `paper`: the full bibliographic reference. `worlds`:
    where the scheme runs, or EVERY_WORLD. `observes`: what an agent measures [shape, unit]. `sends`: its notes and
    their size, or "nothing". `reference`: the readable implementation, if the one that runs is optimised. `fallback`:
    what replaces the action of a lost agent.
    """

    name: str
    summary: str
    citation: str
    paper: str = ""
    equations: str
    worlds: tuple[str, ...]
    observes: str
    sends: str
    deviations: tuple[str, ...] = ()
    reference: str = ""
    reproduces: str = ""
    fallback: Literal["hold", "silent", "random"] = "silent"


@dataclass(frozen=True)
class NoParams:
    """A scheme without parameters."""


@dataclass(frozen=True)
class Scheme:
    """A scheme's parts.

    `node` and `cloud` build the policies of an agent and of the trainer from the Welcome; a scheme whose trainer learns
    gives `training` instead of `cloud`. All three raise ValueError with a suggested fix when world and parameters do
    not fit. `learns`: whether the scheme needs torch, which the extra `learn` installs.
    """

    card: Card
    choreography: Callable[[Any], Choreography]
    node: Callable[[Welcome, Any], NodePolicy]
    cloud: Callable[[Welcome, Any], NodePolicy] | None = None
    params: type = NoParams
    training: Callable[[Welcome, Any], Training] | None = None
    learns: bool = False


def load(name: str) -> Scheme:
    """The scheme named `paper/module`, as in the Welcome: of this package, or of another one that is installed.

    ValueError for a malformed name, and for one that no package has.
    """
    paper, _, module = name.partition("/")
    if not (paper.isidentifier() and module.isidentifier()):
        raise ValueError(f"{name!r} is not a scheme's name; expected paper/module, such as li2020/random")
    if find_spec(f"schemes.{paper}") is not None and find_spec(f"schemes.{paper}.{module}") is not None:
        scheme: Scheme = import_module(f"schemes.{paper}.{module}").SCHEME
        return scheme
    other = plugins.load("airtoll.schemes", name)
    if not isinstance(other, Scheme) or other.card.name != name:
        raise ValueError(f"the entry point {name!r} must be a Scheme whose card has this name")
    return other


def broadcast(kind: Kind, body: bytes, *, payload_bits: int | None = None) -> Note:
    """One note to all neighbours, charged once on the air."""
    return Note((NEIGHBOURS,), kind, body, payload_bits)


def to_trainer(kind: Kind, body: bytes, *, payload_bits: int | None = None) -> Note:
    """One note to the trainer."""
    return Note((TRAINER,), kind, body, payload_bits)
