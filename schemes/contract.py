"""The contract of a scheme: what each node decides, which notes nodes send each other, in which order within a slot.

Each scheme is a module `schemes/<paper>/<name>.py` that opens with its card and offers `SCHEME = Scheme(...)`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

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
from schemes.parts.weights import Precision, Weights


class TurnContext(NamedTuple):
    """A node's turn, decoded: its own measurement and inbox, nothing else.

    `inbox`: notes as they came, to be read with `read`. `measurement`: records [E] of the turn's view. `ended` [E]: how
    the episodes ended that did since the node's last turn, 0 for those that go on; what this turn measures of the slot
    before still belongs to the ended ones. `counter_rng.at(slot, turn)`: the node's own generator. `unread`: notes that
    could not be read, so far. `kinds_read`: collects the kinds that `read` was asked for, if it is given.
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
    kinds_read: set[Kind] | None = None

    @property
    def progress(self) -> float:
        """How far training is, 0 to 1: the share of the run's training slots that lie before this one."""
        return self.training.at(self.slot)

    def read(self, reader: NoteReader[Content]) -> Iterator[tuple[ReceivedNote, Content]]:
        """The notes of the reader's kind with their contents, in the order of the inbox. Those that cannot be read are
        left out and added to `unread`."""
        if self.kinds_read is not None:
            self.kinds_read.add(reader.kind)
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


class LearntWeights(NamedTuple):
    """Weights that a node has learnt by itself, named as in `start_from`, and their version."""

    policy_version: int
    weights: Weights


class NodePolicy:
    """The decision logic of a node. Subclasses are plain objects: no socket, no clock, no global randomness."""

    def prepare(self) -> None:
        """Build what takes long, such as a learner: called once, before all else, of a policy that will play. The check
        of a configuration builds policies and does not call it."""

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        """The output of one turn."""
        raise NotImplementedError

    def close(self, turn: TurnContext) -> tuple[Note, ...]:
        """The closing turn, after the last slot: an agent reads its last measurement and may send its last history."""
        return ()

    def restart(self, replicas: Mask) -> None:
        """New episodes begin in these replicas, [E]: forget what belongs to the old ones. Called before the next turn's
        `on_turn`, whose `ended` says how they ended."""

    def start_from(self, weights: Sequence[Weights]) -> None:
        """Begin with the weights of another run: the agent's own, alone in the list, or for the trainer those of every
        agent. Called before the first turn. ValueError if it has no weights, or if these do not fit."""
        raise ValueError("it has no weights that another run's could replace; leave out start.weights")

    def learnt_by_agent(self) -> list[Weights]:
        """The weights of every agent that this node trains, as they are now: none for a node that trains none. From
        these a run of other sizes is checked before anything is trained."""
        own = self.learnt_weights()
        return [] if own is None else [own.weights]

    def learnt_weights(self) -> LearntWeights | None:
        """What this node has learnt by itself, for the run's folder; asked for when a phase of training is over. None
        if it learns nothing."""
        return None

    def snapshot(self) -> dict[str, Any]:
        """All state kept between turns: MessagePack types and numpy arrays."""
        return {}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""


class Learner(Protocol):
    """A learning algorithm, at the trainer or on a node: a plain object without I/O.

    `add` stores data: `Transitions`, or a `Rollout`, as the algorithm wants them. `learn` does that many updates and
    returns their mean statistics; while there is too little data it does nothing and returns {}. `weights`: the actor
    of the agent with this index. `save` and `load` cover all state, so that a loaded learner continues bit for bit.
    """

    def add(self, data: Any, /) -> None: ...
    def learn(self, updates: int, /) -> dict[str, float]: ...
    def weights(self, node: int, /) -> dict[str, npt.NDArray[np.float32]]: ...
    def save(self) -> dict[str, Any]: ...
    def load(self, data: dict[str, Any], /) -> None: ...


@runtime_checkable
class AgentLearners(Learner, Protocol):
    """A learner per agent, such as `schemes.parts.nn.learning.Independent`: what `join` needs to keep agents apart."""

    def of(self, agent: int, /) -> Learner: ...


class Observer:
    """Reads any note in the trainer's inbox, such as one that a reward is compiled from. A plain object."""

    def observe(self, turn: TurnContext) -> None:
        """Read what the trainer received in this turn; data for the learner may be added to it."""
        raise NotImplementedError

    def restart(self, replicas: Mask) -> None:
        """New episodes begin in these replicas, [E]; called before the next turn's `observe`."""

    def snapshot(self) -> dict[str, Any]:
        """All state kept between turns: MessagePack types and numpy arrays."""
        return {}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""


@dataclass(frozen=True, kw_only=True)
class Join:
    """How the agents' histories become the learner's data.

    `how`: `together`, all agents' rows of a slot at once, those that do not arrive in time being missing
    (`JointTrajectory.present`); `alone`, each agent's rows as soon as they arrive, for the agent's own one of the
    `AgentLearners`; `pooled`, likewise, but for one learner that all agents share.
    `layouts`: the rows of each agent's histories. `to_data`: joined rows, of all agents or of one, to what the learner
    stores. `max_upload_interval_slots`: the largest number of slots between two histories of an agent.
    """

    how: Literal["together", "alone", "pooled"]
    layouts: list[Layout]
    to_data: Callable[[JointTrajectory], Any]
    max_upload_interval_slots: int


@dataclass(frozen=True, kw_only=True)
class Send:
    """How weights reach the agents: `each` gets a note with its own, or `all` get one note with those of node 0, which
    they share. `every_slots`: the fewest slots between two pushes."""

    to: Literal["each", "all"]
    every_slots: int
    precision: Precision


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a scheme learns at the trainer. All but the learner are optional.

    `learner` builds the learner and loads torch. It does `updates_per_turn` updates in a turn of training, if rows have
    been joined since the last one; without `join`, in every turn. These are the choreography's learn turns, or its
    decide turns if it has none. The trainer has a learn turn in the slots in which notes have come for it, and in
    every slot if it also decides: so one that only observes does not learn in slots in which it received nothing.
    `decide` builds, given the learner, the policy that answers the decide turns. `observe` builds, given the learner,
    what reads notes that are no histories. Both may add data to the learner. In a turn the inbox goes to `observe`,
    `join` and `decide`, in this order, before learning.
    """

    learner: Callable[[], Learner]
    updates_per_turn: int
    decide: Callable[[Any], NodePolicy] | None = None
    observe: Callable[[Any], Observer] | None = None
    join: Join | None = None
    send: Send | None = None


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
    gives `training` instead of `cloud`, even if it also decides. All three raise ValueError with a suggested fix when
    world and parameters do not fit. `learns`: whether it has a use for slots of training. `needs`: the libraries that
    its learner imports beside those that every installation has, such as "torch", which the extra `learn` installs.
    `privileged`: whether its nodes are given, in their static information, what the world has of
    `privileged_info`: a bound, not a scheme that could be built; the card says so.
    """

    card: Card
    choreography: Callable[[Any], Choreography]
    node: Callable[[Welcome, Any], NodePolicy]
    cloud: Callable[[Welcome, Any], NodePolicy] | None = None
    params: type = NoParams
    training: Callable[[Welcome, Any], Training] | None = None
    learns: bool = False
    needs: tuple[str, ...] = ()
    privileged: bool = False


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
    """One note to all neighbours: charged once over radio, once per neighbour over a backhaul."""
    return Note((NEIGHBOURS,), kind, body, payload_bits)


def to_trainer(kind: Kind, body: bytes, *, payload_bits: int | None = None) -> Note:
    """One note to the trainer."""
    return Note((TRAINER,), kind, body, payload_bits)
