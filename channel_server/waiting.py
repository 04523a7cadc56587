"""What a run waits for, and for how long."""

from collections.abc import Sequence
from enum import Enum, auto
from math import inf
from typing import NamedTuple

from protocol.messages.choreography import Phase
from protocol.messages.kinds import TRAINER_NAME
from protocol.messages.plan import LossPlan

JOIN_TIMEOUT_S = 60.0
GOODBYE_TIMEOUT_S = 3.0


class Waiting(Enum):
    """The state of a run: what it waits for."""

    NODES_TO_JOIN = auto()  # before the first slot
    REPLIES = auto()  # to the turn that is open
    SLOT_TIME = auto()  # until a paced clock begins the next slot
    NODE_STATES = auto()  # between two slots: the nodes' parts of a checkpoint
    RESUME = auto()  # between two slots: the end of a pause
    LOST_NODES = auto()  # between two slots: nodes without which, by its plan, the run does not continue
    GOODBYES = auto()  # after the last slot
    NOTHING = auto()  # the run is over


RUNNING = (Waiting.REPLIES, Waiting.SLOT_TIME, Waiting.NODE_STATES, Waiting.RESUME, Waiting.LOST_NODES)
OVER = (Waiting.GOODBYES, Waiting.NOTHING)


class Awaited(NamedTuple):
    """One thing that a timeout runs for: `waiting` at a slot and turn; with `node`, that node's late reply to it."""

    waiting: Waiting
    slot: int
    turn: int
    node: int | None = None


class Timeouts:
    """For how many seconds a run waits, by what it waits for: inf where the wait has no timeout.

    A node's timeout is longer where it learns before it replies: the trainer's, and of agents that learn in training.
    """

    def __init__(self, loss: LossPlan) -> None:
        self.seconds = {
            Waiting.NODES_TO_JOIN: JOIN_TIMEOUT_S,
            Waiting.REPLIES: loss.lost_after_s,
            Waiting.SLOT_TIME: inf,  # the metronome ends it
            Waiting.NODE_STATES: loss.lost_after_s,
            Waiting.RESUME: inf,  # the launcher ends it
            Waiting.LOST_NODES: loss.pause_s,
            Waiting.GOODBYES: GOODBYE_TIMEOUT_S,
            Waiting.NOTHING: inf,
        }
        self._trainer_s = loss.trainer_lost_after_s
        self._learner_s = loss.learner_lost_after_s

    def of(self, waiting: Waiting, awaited: Sequence[str], *, first_slot: bool = False, phase: Phase = "eval") -> float:
        """The timeout of a state in which the nodes of these names are awaited, in a slot of this phase."""
        if waiting is not Waiting.REPLIES and waiting is not Waiting.NODE_STATES:
            return self.seconds[waiting]
        seconds = self._trainer_s if list(awaited) == [TRAINER_NAME] else self.seconds[waiting]
        if self._learner_s is not None and (first_slot or phase == "train"):
            seconds = max(seconds, self._learner_s)
        return max(seconds, JOIN_TIMEOUT_S) if first_slot else seconds  # nodes may still load what they learn with
