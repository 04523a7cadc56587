"""The trainer: the node at the BS/cloud that decides for central schemes, or learns, or both."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from controller.joined_histories import JoinedHistories
from controller.pushes import Pushes
from protocol.messages.choreography import Step
from protocol.messages.episodes import Mask
from protocol.messages.kinds import Kind
from protocol.messages.node import Note, Welcome
from schemes.contract import NO_OUTPUT, LearntWeights, NodePolicy, Observer, Training, TurnContext, TurnOutput, load
from schemes.parts.learner_start import start_learner
from schemes.parts.note_reader import UnreadNote
from schemes.parts.weights import Weights


def trainer_policy(welcome: Welcome) -> NodePolicy:
    """The cloud side of the scheme that the Welcome names. ValueError if the scheme has none."""
    scheme = load(welcome.scheme)
    params: Any = msgspec.convert(welcome.params, scheme.params)
    if scheme.training is not None:
        return LearningTrainer(welcome, scheme.training(welcome, params))
    if scheme.cloud is None:
        raise ValueError(f"{welcome.scheme} has a turn for the trainer but no cloud side: give its SCHEME one")
    return scheme.cloud(welcome, params)


def check_training(welcome: Welcome, training: Training) -> None:
    """ValueError if the choreography has no turn for a part of the training, or a turn that no part answers."""
    decides = "decide" in _trainer_steps(welcome)
    if decides and training.decide is None:
        raise ValueError(f"{welcome.scheme} has a turn in which the trainer decides: give its Training a decide")
    if training.decide is not None and not decides:
        raise ValueError(f"{welcome.scheme} gives its Training a decide: add trainer_decides() to its turns")


class LearningTrainer(NodePolicy):
    """Plays the parts of a `Training`: observes, joins, decides, learns and sends weights.

    It learns in its learn turns, or in its decide turns if it has no others. A turn without notes, which lets its
    delivery resend what was not acknowledged, is left out unless the trainer decides: what it learns from may have come
    in the decide turn.
    """

    def __init__(self, welcome: Welcome, training: Training) -> None:
        check_training(welcome, training)
        learner = training.learner()
        self._agents, self._learner = range(welcome.agents), learner
        self._updates_per_turn, self._updates = training.updates_per_turn, 0.0
        self._unread = 0  # notes so far that no part has read
        self._learn_step: Step = "learn" if "learn" in _trainer_steps(welcome) else "decide"
        self._histories = None if training.join is None else JoinedHistories(welcome, training.join, learner)
        self._observer = None if training.observe is None else training.observe(learner)
        self._decider = None if training.decide is None else training.decide(learner)
        self._pushes = None if training.send is None else Pushes(self._agents, training.send)

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        if not turn.inbox and self._decider is None:
            return NO_OUTPUT
        turn = turn._replace(kinds_read=set())
        self._read(turn)
        decision = NO_OUTPUT
        if self._decider is not None and turn.step == "decide":
            decision = self._decider.on_turn(turn)
        decision = decision._replace(scalars={**decision.scalars, **self._report_unread(turn)})
        if turn.step != self._learn_step:
            return decision
        scalars = {**decision.scalars, **self._learn(turn), **self._rows_lost()}
        weights = () if self._pushes is None else self._pushes.notes(turn, self._learner)
        if self._pushes is not None and weights:
            scalars["policy_version"] = self._pushes.policy_version
        return TurnOutput(notes=(*decision.notes, *weights), scalars=scalars)

    def close(self, turn: TurnContext) -> tuple[Note, ...]:
        self._read(turn)
        return () if self._decider is None else self._decider.close(turn)

    def restart(self, replicas: Mask) -> None:
        for part in (self._observer, self._decider):
            if part is not None:
                part.restart(replicas)

    def start_from(self, weights: Sequence[Weights]) -> None:
        start_learner(self._learner, weights)

    def learnt_by_agent(self) -> list[Weights]:
        return [self._learner.weights(agent) for agent in self._agents]

    def learnt_weights(self) -> LearntWeights | None:
        """Those that it acts by itself: those that it sends are known from its notes."""
        if self._pushes is not None or self._decider is None:
            return None
        return LearntWeights(int(self._updates), self._learner.weights(0))

    def snapshot(self) -> dict[str, Any]:
        parts = {name: part.snapshot() for name, part in self._parts}
        return {"learner": self._learner.save(), "updates": self._updates, "unread": self._unread, "parts": parts}

    def restore(self, data: dict[str, Any]) -> None:
        self._learner.load(data["learner"])
        self._updates, self._unread = data["updates"], data["unread"]
        for name, part in self._parts:
            part.restore(data["parts"][name])

    @property
    def _parts(self) -> list[tuple[str, Observer | JoinedHistories | NodePolicy | Pushes]]:
        """Those that the training has and that keep state, by name."""
        parts = {"observe": self._observer, "join": self._histories, "decide": self._decider, "send": self._pushes}
        return [(name, part) for name, part in parts.items() if part is not None]

    def _read(self, turn: TurnContext) -> None:
        """Give the inbox to the parts that read notes in every turn."""
        if self._observer is not None:
            self._observer.observe(turn)
        if self._histories is not None:
            self._histories.add(turn)

    def _report_unread(self, turn: TurnContext) -> dict[str, float]:
        """Report the notes of this turn that no part has asked for; their number so far, once there are some."""
        reads = (turn.kinds_read or set()) | (set() if self._histories is None else {Kind.HISTORY})
        reason = f"no part of this trainer reads notes of this kind in its turn to {turn.step}"
        left = [UnreadNote(note, reason) for note in turn.inbox if note.kind not in reads]
        turn.unread.extend(left)
        self._unread += len(left)
        return {"notes_unread": float(self._unread)} if left else {}

    def _rows_lost(self) -> dict[str, float]:
        return {} if self._histories is None else self._histories.counts

    def _learn(self, turn: TurnContext) -> dict[str, float]:
        """Mean statistics of this turn's updates. Their number is fixed, so that a trace does not depend on how fast
        they are. The total is of each learner, in the mean."""
        histories = self._histories
        learners = [self._learner] if histories is None else histories.take_fresh()
        if turn.phase != "train":
            return {}
        stats = [each for learner in learners if (each := learner.learn(self._updates_per_turn))]
        if not stats:
            return {}
        self._updates += self._updates_per_turn * len(stats) / (1 if histories is None else len(histories.learners))
        if self._pushes is not None:
            self._pushes.has_unsent = True
        return {key: float(np.mean([each[key] for each in stats])) for key in stats[0]} | {"updates": self._updates}


def _trainer_steps(welcome: Welcome) -> set[Step]:
    return {spec.step for spec in welcome.choreography.turns if spec.who == "trainer"}
