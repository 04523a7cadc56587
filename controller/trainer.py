"""The trainer: the node at the BS/cloud that decides for central schemes, or learns from the agents' histories."""

from collections.abc import Sequence
from typing import Any

import msgspec

from protocol.messages.kinds import Kind
from protocol.messages.node import Note, Welcome
from schemes.contract import NO_OUTPUT, Learner, NodePolicy, Training, TurnContext, TurnOutput, load
from schemes.parts.history import Joiner
from schemes.parts.learner_start import start_learner
from schemes.parts.note_reader import NoteReader
from schemes.parts.weights import Weights, write_weights


def trainer_policy(welcome: Welcome) -> NodePolicy:
    """The cloud side of the scheme that the Welcome names. ValueError if the scheme has none."""
    scheme = load(welcome.scheme)
    params: Any = msgspec.convert(welcome.params, scheme.params)
    if scheme.training is not None:
        return LearningTrainer(welcome, scheme.training(welcome, params))
    if scheme.cloud is None:
        raise ValueError(f"{welcome.scheme} has a turn for the trainer but no cloud side: give its SCHEME one")
    return scheme.cloud(welcome, params)


_MAX_RESENDS = 10  # transmissions of a history, after which its slots are dropped
_WAITING_SLOTS = 1000  # at least: how long rows wait for those of an agent that sends none


class LearningTrainer(NodePolicy):
    """Joins the agents' histories by slot, has its learner learn from them, and sends each agent its weights.

    Stale rule: the learner receives a slot when the rows of all agents have arrived, even after later slots. The
    trainer waits for a missing row as long as `_MAX_RESENDS` transmissions of it take, then drops its slot. In a
    turn without new histories, which lets its delivery resend what was not acknowledged, the trainer does nothing.
    """

    def __init__(self, welcome: Welcome, training: Training) -> None:
        self._agents = range(welcome.agents)
        self._training = training
        self._learner: Learner = training.learner()
        timeout = _MAX_RESENDS * welcome.resend_after_slots
        max_slots = _WAITING_SLOTS + timeout + training.max_upload_interval_slots
        self._joiner = Joiner(training.layouts, timeout_slots=timeout, max_slots=max_slots)
        self._histories = NoteReader(Kind.HISTORY, self._agents, self._joiner.read)
        self._updates = 0
        self._policy_version = 0
        self._pushed_at = -training.push_every_slots  # the slot in which weights were last sent
        self._has_unsent = False  # updates since then

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        if not turn.inbox:
            return NO_OUTPUT
        completed = self._add(turn)
        scalars = self._learn() if completed and turn.phase == "train" else {}
        due = turn.slot >= self._pushed_at + self._training.push_every_slots or turn.phase == "eval"
        if not (due and self._has_unsent):
            return TurnOutput(scalars=scalars) if scalars else NO_OUTPUT
        self._pushed_at, self._has_unsent = turn.slot, False
        self._policy_version += 1
        scalars = scalars | {"policy_version": self._policy_version}
        return TurnOutput(notes=tuple(map(self._weights, self._agents)), scalars=scalars)

    def close(self, turn: TurnContext) -> tuple[Note, ...]:
        self._add(turn)
        return ()

    def start_from(self, weights: Sequence[Weights]) -> None:
        start_learner(self._learner, weights)

    def learnt_by_agent(self) -> list[Weights]:
        return [self._learner.weights(agent) for agent in self._agents]

    def snapshot(self) -> dict[str, Any]:
        return {
            "learner": self._learner.save(),
            "joiner": self._joiner.snapshot(),
            "counts": [self._updates, self._policy_version, self._pushed_at, self._has_unsent],
        }

    def restore(self, data: dict[str, Any]) -> None:
        self._learner.load(data["learner"])
        self._joiner.restore(data["joiner"])
        self._updates, self._policy_version, self._pushed_at, self._has_unsent = data["counts"]

    def _add(self, turn: TurnContext) -> bool:
        """Add the inbox to the joiner; whether this completed a slot."""
        for received, chunk in turn.read(self._histories):
            self._joiner.add(received.source, chunk)
        histories = list(self._joiner.take())
        for joint in histories:
            self._learner.add(self._training.to_transitions(joint))
        return bool(histories)

    def _learn(self) -> dict[str, float]:
        """A fixed number of updates per turn, so that a trace does not depend on how fast they are."""
        scalars = self._learner.learn(self._training.updates_per_turn)
        if scalars:
            self._updates += self._training.updates_per_turn
            self._has_unsent = True
            scalars = scalars | {"updates": self._updates}
        return scalars

    def _weights(self, node: int) -> Note:
        body = write_weights(self._learner.weights(node), self._policy_version, self._training.precision)
        return Note((node,), Kind.WEIGHTS, body)
