"""A node without its socket: hosts the policy that the Welcome names and replies to turns with it."""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np

from agent_node.delivery import AckedDelivery
from protocol.determinism.rng import CounterRng
from protocol.messages.choreography import CLOSING, PHASES, TurnSpec
from protocol.messages.episodes import going_on
from protocol.messages.node import Message, Note, Reply, Report, Turn, Welcome
from protocol.messages.phases import TrainingProgress
from protocol.messages.spaces import Records, Space
from schemes.contract import NodePolicy, TurnContext, load

BuildPolicy = Callable[[Welcome], NodePolicy]


def agent_policy(welcome: Welcome) -> NodePolicy:
    """The agent's policy, of the scheme that the Welcome names. ValueError with a suggested fix if it does not fit."""
    scheme = load(welcome.scheme)
    return scheme.node(welcome, msgspec.convert(welcome.params, scheme.params))


class Node:
    """One seat in a run: decodes its turns, calls its policy, encodes the replies."""

    def __init__(self, welcome: Welcome, build: BuildPolicy) -> None:
        self.policy = build(welcome)
        self._specs = {index: _decoder(spec, welcome) for index, spec in enumerate(welcome.choreography.turns)}
        self._specs[CLOSING] = _decoder(_closing(welcome), welcome)
        self._action_fits = welcome.action.checker(welcome.replicas)
        self._rng = CounterRng(welcome.seed, "node", welcome.index)
        self._delivery = AckedDelivery(trainer=welcome.agents, resend_after_slots=welcome.resend_after_slots)
        self._training = TrainingProgress(welcome.phases)
        self._going_on = going_on(welcome.replicas)
        self._slot = -1

    def turn(self, turn: Turn) -> list[Message]:
        """The reply to a turn, and a report if there are scalars. ValueError if an action lies outside its space."""
        ended = np.frombuffer(turn.ended, np.uint8) if turn.ended else self._going_on
        if turn.ended:
            self.policy.restart(ended > 0)
        spec, decode = self._specs[turn.spec]
        inbox, acks = self._delivery.receive(turn.inbox) if turn.inbox else (turn.inbox, [])
        context = TurnContext(
            turn.slot,
            turn.turn,
            spec.step,
            PHASES[turn.phase],
            ended,
            decode(turn.measurement),
            inbox,
            self._rng,
            self._training,
        )
        if spec.step == "close":
            return [Reply(turn.slot, turn.turn, b"", self._delivery.send(self.policy.close(context), turn.slot))]
        output = self.policy.on_turn(context)
        action = b"" if output.action is None else output.action.tobytes()
        if action and not self._action_fits(action):
            raise ValueError(f"the policy's action {output.action} lies outside its space")
        reply = Reply(turn.slot, turn.turn, action, [*acks, *self._outgoing(output.notes, turn.slot)])
        return [reply, Report(turn.slot, dict(output.scalars))] if output.scalars else [reply]

    def snapshot(self) -> dict[str, Any]:
        """The state between two turns."""
        delivery, policy = self._delivery.snapshot(), self.policy.snapshot()
        return {"slot": self._slot, "delivery": delivery, "policy": policy}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._slot = data["slot"]
        self._delivery.restore(data["delivery"])
        self.policy.restore(data["policy"])

    def _outgoing(self, notes: Sequence[Note], slot: int) -> list[Note]:
        """The policy's notes with their numbers; before them, in the node's first turn of a slot, what is resent."""
        numbered = self._delivery.send(notes, slot) if notes else []
        resent = self._delivery.resend(slot) if slot != self._slot else []
        self._slot = slot
        return [*resent, *numbered]


def _decoder(spec: TurnSpec, welcome: Welcome) -> tuple[TurnSpec, Callable[[bytes], Records]]:
    """How to decode the measurement of a turn; a turn without a view has an empty one."""
    if spec.view in welcome.views:
        return spec, welcome.views[spec.view].decode
    nothing = Space().empty(welcome.replicas)
    return spec, lambda _: nothing


def _closing(welcome: Welcome) -> TurnSpec:
    """In the closing turn agents measure what they measure in their first turn."""
    view = next((spec.view for spec in welcome.choreography.turns if spec.who == "agents"), "")
    return TurnSpec(who="agents", step="close", view=view)
