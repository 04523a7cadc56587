"""Central schemes: agents report what they measure, the trainer decides for all, and each follows its decision.

Stale rules: hold. The trainer uses each source's newest report, by the slot in which it was sent, unless that is too
old. An agent follows the newest decision, whatever slot it was made for, until a newer one comes; before the first it
keeps the action that it has.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

from protocol.messages.choreography import Choreography, agents_act, agents_exchange, network_sends, trainer_decides
from protocol.messages.kinds import Kind
from protocol.messages.node import Note, ReceivedNote, Welcome
from protocol.messages.spaces import Records
from schemes.contract import NO_OUTPUT, TurnContext, TurnOutput, to_trainer
from schemes.parts.latest_notes import LatestNotes, LatestNotesPolicy
from schemes.parts.note_reader import Content, NoteReader
from schemes.parts.weights import Weights

Choices = npt.NDArray[np.int64]
Decision = TypeVar("Decision", bound=npt.NDArray[Any])


class DecisionCoding(Protocol[Decision]):
    """Decisions [E, ...] in notes. `read`: ValueError for a note that holds none."""

    def note(self, agent: int, decision: Decision, /) -> Note: ...
    def read(self, note: ReceivedNote, /) -> Decision: ...


@dataclass(frozen=True)
class ChoiceCoding:
    """Decisions in notes: an integer from `low` to `high` per replica, in one byte or as many as it takes; the air is
    charged the bits that tell the choices apart."""

    low: int
    high: int
    replicas: int

    def note(self, agent: int, choices: Choices) -> Note:
        """The decision [E] for an agent."""
        bits = (self.high - self.low).bit_length()
        return Note((agent,), Kind.DECISION, choices.astype(self._dtype).tobytes(), bits)

    def read(self, note: ReceivedNote) -> Choices:
        """[E]. ValueError for a body of another length or a choice out of bounds."""
        choices = np.frombuffer(note.body, self._dtype).astype(np.int64).reshape(self.replicas)
        if (choices < self.low).any() or (choices > self.high).any():
            raise ValueError(f"a choice is not within {self.low} to {self.high}")
        return choices

    @property
    def _dtype(self) -> np.dtype[np.signedinteger]:
        return np.min_scalar_type(min(self.low, -self.high - 1)).newbyteorder("<")


class Reporter(LatestNotesPolicy[Records]):
    """An agent: sends the trainer a report of its measurement in `exchange`, follows its newest decision in `act`.

    `encode`: a measurement as the report's body. `action`: a decision [E, ...] as an action.
    """

    def __init__(
        self,
        welcome: Welcome,
        encode: Callable[[Records], bytes],
        coding: DecisionCoding[Decision],
        action: Callable[[Decision], Records],
    ) -> None:
        self._encode = encode

        def read(note: ReceivedNote) -> Records:
            return action(coding.read(note))

        super().__init__(LatestNotes(NoteReader(Kind.DECISION, (welcome.agents,), read)))

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        self._latest.update(turn)  # in both turns: late notes arrive in turn 0, before the exchange
        if turn.step == "exchange":
            return TurnOutput(notes=(to_trainer(Kind.CSI, self._encode(turn.measurement)),))
        decisions = self._latest.at(turn.slot)
        return TurnOutput(decisions[0][1]) if decisions else NO_OUTPUT


class Decider(LatestNotesPolicy[Content]):
    """The trainer: decides for all agents from the newest reports.

    `decide(reports, rng)`: decisions [E, N, ...] from each source's report. `codings`: of each agent's decisions.
    """

    def __init__(
        self,
        reports: LatestNotes[Content],
        decide: Callable[[list[tuple[int, Content]], np.random.Generator], npt.NDArray[Any]],
        codings: Sequence[DecisionCoding[Any]],
    ) -> None:
        super().__init__(reports)
        self._decide, self._codings = decide, codings

    def start_from(self, weights: Sequence[Weights]) -> None:
        """Weights that a run starts from are the agents' own: what it decides by has none."""

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        self._latest.update(turn)
        decisions = self._decide(self._latest.at(turn.slot), turn.rng())
        return TurnOutput(notes=tuple(coding.note(n, decisions[:, n]) for n, coding in enumerate(self._codings)))


def reports_then_decision(view: str, *reports: str) -> Choreography:
    """A slot of a central scheme: agents report what they measure in `view`, the network sends `reports`, the trainer
    decides, agents act."""
    sent = [network_sends(report) for report in reports]
    return Choreography((agents_exchange(view), *sent, trainer_decides(), agents_act()))
