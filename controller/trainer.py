"""The trainer: the node at the BS/cloud that decides for central schemes, or learns from what the agents tell."""

from typing import Any

import msgspec

from protocol.messages.kinds import Kind
from protocol.messages.node import Note, Welcome
from schemes.contract import NO_OUTPUT, Learner, NodePolicy, Training, TurnContext, TurnOutput, load
from schemes.parts.history import Joiner
from schemes.parts.weights import write_weights


def trainer_policy(welcome: Welcome) -> NodePolicy:
    """The cloud side of the scheme that the Welcome names. ValueError if the scheme has none."""
    scheme = load(welcome.scheme)
    params: Any = msgspec.convert(welcome.params, scheme.params)
    if scheme.training is not None:
        return LearningTrainer(welcome, scheme.training(welcome, params))
    if scheme.cloud is None:
        raise ValueError(f"{welcome.scheme} has a turn for the trainer but no cloud side: give its SCHEME one")
    return scheme.cloud(welcome, params)


_MAX_RESENDS = 10  # tellings of a history, after which its slots are learnt without
_WAITING_SLOTS = 1000  # how long rows wait at least for an agent of which nothing is heard


class LearningTrainer(NodePolicy):
    """Joins histories by slot, has its learner learn, tells each agent its weights.

    Stale rule: a slot is learnt from when everybody's row of it has come, also after later ones. What is missing is
    waited for as long as it takes to tell it `_MAX_RESENDS` times, then its slot is forgotten. Asked without news, so that
    it can tell again what was not acknowledged, the trainer does nothing.
    """

    def __init__(self, welcome: Welcome, training: Training) -> None:
        self._agents = range(welcome.agents)
        self._training = training
        self._learner: Learner = training.learner()
        timeout = _MAX_RESENDS * welcome.resend_after_slots
        most = _WAITING_SLOTS + timeout + training.max_slots_unsent
        self._joiner = Joiner(training.layouts, timeout_slots=timeout, max_slots=most)
        self._updates = 0
        self._version = 0
        self._told_at = -training.push_every_slots  # the slot at which weights were last told
        self._behind = False  # has learnt since

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        if not turn.inbox:
            return NO_OUTPUT
        news = self._add(turn)
        scalars = self._learn() if news and turn.phase == "train" else {}
        due = turn.slot >= self._told_at + self._training.push_every_slots or turn.phase == "eval"
        if not (due and self._behind):
            return TurnOutput(scalars=scalars) if scalars else NO_OUTPUT
        self._told_at, self._behind = turn.slot, False
        self._version += 1
        return TurnOutput(
            notes=tuple(map(self._weights, self._agents)), scalars=scalars | {"policy_version": self._version}
        )

    def close(self, turn: TurnContext) -> tuple[Note, ...]:
        self._add(turn)
        return ()

    def snapshot(self) -> dict[str, Any]:
        return {
            "learner": self._learner.save(),
            "joiner": self._joiner.snapshot(),
            "counts": [self._updates, self._version, self._told_at, self._behind],
        }

    def restore(self, data: dict[str, Any]) -> None:
        self._learner.load(data["learner"])
        self._joiner.restore(data["joiner"])
        self._updates, self._version, self._told_at, self._behind = data["counts"]

    def _add(self, turn: TurnContext) -> bool:
        """Whether a slot is complete that was not."""
        for received in turn.inbox:
            if received.kind == Kind.HISTORY:
                self._joiner.add(received.source, received.body)
        histories = list(self._joiner.take())
        for joint in histories:
            self._learner.add(joint)
        return bool(histories)

    def _learn(self) -> dict[str, float]:
        """A fixed number of updates per turn, so that a trace does not depend on how fast they are."""
        scalars = self._learner.learn(self._training.updates_per_turn)
        if scalars:
            self._updates += self._training.updates_per_turn
            self._behind = True
            scalars = scalars | {"updates": self._updates}
        return scalars

    def _weights(self, node: int) -> Note:
        body = write_weights(self._learner.weights(node), self._version, self._training.precision)
        return Note((node,), Kind.WEIGHTS, body)
