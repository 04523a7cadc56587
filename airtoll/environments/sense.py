"""What an outside learner observes: a node's own measurement and the notes it received, as a row of numbers.

A sense is built from the node's Welcome and called with its act turn, so that it sees what a node of the run sees and
nothing else. `airtoll.parallel_env(config, sense=...)` takes any function from a Welcome to a `Sense`.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import numpy as np
import numpy.typing as npt

from airtoll.environments.spaces import bounds, numbers
from protocol.messages.kinds import Kind
from protocol.messages.node import ReceivedNote, Welcome
from protocol.messages.spaces import Space
from schemes.contract import TurnContext
from schemes.li2020.cell_info import Standardiser, cell_info
from schemes.parts.latest_notes import LatestNotes
from schemes.parts.note_reader import NoteReader

Floats = npt.NDArray[np.float32]


class Sense(Protocol):
    """`low`, `high` [width]: the bounds of an observation. Called with a turn it returns one per replica, [E, width].

    It is called once per slot, so it may remember; a new run builds new ones.
    """

    low: Floats
    high: Floats

    def __call__(self, turn: TurnContext, /) -> Floats: ...


MakeSense = Callable[[Welcome], Sense]


class Measured:
    """The measurement of the act turn, field by field, in its units."""

    def __init__(self, welcome: Welcome) -> None:
        self._view = act_view(welcome)
        self.low, self.high = bounds(self._view)

    def __call__(self, turn: TurnContext) -> Floats:
        return numbers(self._view, turn.measurement)


class Standardised:
    """A pair's state s_i of li2020 as its own networks see it: decibels by their typical mean and deviation, about -3
    to 3, and the last RB as 0 and 1. For the world d2d_underlay and the views `observation` and `experience`."""

    def __init__(self, welcome: Welcome) -> None:
        self._standardise = Standardiser(cell_info(welcome), act_view(welcome))
        self.high = np.full(self._standardise.inputs, np.inf, np.float32)
        self.low = -self.high

    def __call__(self, turn: TurnContext) -> Floats:
        return self._standardise(turn.measurement)


class WithNotes:
    """Another sense's row, then the newest note of `kind` from each neighbour: `width` numbers of the numpy code
    `dtype` per note, zeros before the first. For a world whose neighbours stay the same."""

    def __init__(self, welcome: Welcome, *, first: MakeSense, kind: Kind, dtype: str, width: int) -> None:
        self._first = first(welcome)
        self._others = [node for node in range(welcome.agents) if node != welcome.index]
        self._width = width

        def decode(note: ReceivedNote) -> Floats:
            return np.frombuffer(note.body, f"<{dtype}").reshape(welcome.replicas, width).astype(np.float32)

        self._notes = LatestNotes(NoteReader(kind, self._others, decode))
        unknown = np.full(width * len(self._others), np.inf, np.float32)
        self.low = np.concatenate([self._first.low, -unknown])
        self.high = np.concatenate([self._first.high, unknown])

    def __call__(self, turn: TurnContext) -> Floats:
        self._notes.update(turn)
        known, nothing = dict(self._notes.at(turn.slot)), np.zeros((len(turn.ended), self._width), np.float32)
        return np.hstack([self._first(turn), *(known.get(node, nothing) for node in self._others)])


def with_notes(first: MakeSense, kind: Kind, dtype: str, width: int) -> MakeSense:
    """`first`, and the notes of this kind that the other agents send, each of `width` numbers."""
    return partial(WithNotes, first=first, kind=kind, dtype=dtype, width=width)


def act_view(welcome: Welcome) -> Space:
    """The space of the measurement in the act turn. ValueError if nothing is measured there."""
    [name] = [spec.view for spec in welcome.choreography.turns if (spec.who, spec.step) == ("agents", "act")]
    if name not in welcome.views or not welcome.views[name].fields:
        raise ValueError(
            f"scheme: the agents of {welcome.scheme} measure nothing in the turn in which they act: choose a scheme "
            "whose act turn has a view, give view= one of the world's, or give a sense of your own"
        )
    return welcome.views[name]
