"""A node without its socket: hosts the policy that the Welcome names and replies to turns with it."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from agent_node.delivery import AckedDelivery
from protocol.determinism.rng import CounterRng
from protocol.messages.choreography import CLOSING, PHASES, TurnSpec
from protocol.messages.episodes import going_on
from protocol.messages.node import (
    MAX_REASON_CHARS,
    MAX_SCALAR_NAME_CHARS,
    MAX_SCALARS,
    MAX_UNREAD,
    Note,
    Reply,
    Report,
    Turn,
    Unread,
    Welcome,
)
from protocol.messages.phases import TrainingProgress
from protocol.messages.spaces import Records, Space
from protocol.messages.text import is_name
from schemes.contract import NodePolicy, TurnContext, TurnOutput, load
from schemes.parts.note_reader import UnreadNote
from schemes.parts.weights import read_weights, write_weights

BuildPolicy = Callable[[Welcome], NodePolicy]


def agent_policy(welcome: Welcome) -> NodePolicy:
    """The agent's policy, of the scheme that the Welcome names. ValueError with a suggested fix if it does not fit."""
    scheme = load(welcome.scheme)
    return scheme.node(welcome, msgspec.convert(welcome.params, scheme.params))


class OpenTurn(Struct, frozen=True):
    """A turn that the node has read and not replied to. For the reply: `acks` of what its inbox had, and the weights
    that it has `learnt` by itself, if it reports them."""

    context: TurnContext
    acks: list[Note]
    learnt: bytes


class Node:
    """One seat in a run: decodes its turns, calls its policy, encodes the replies."""

    def __init__(self, welcome: Welcome, build: BuildPolicy) -> None:
        self.policy = build(welcome)
        self.policy.prepare()
        if welcome.start:
            self.policy.start_from([read_weights(body)[1] for body in welcome.start])
        self._specs = {index: _decoder(spec, welcome) for index, spec in enumerate(welcome.choreography.turns)}
        self._specs[CLOSING] = _decoder(_closing(welcome), welcome)
        self._action_fits = welcome.action.checker(welcome.replicas)
        self._rng = CounterRng(welcome.seed, "node", welcome.index)
        self._delivery = AckedDelivery(trainer=welcome.agents, resend_after_slots=welcome.resend_after_slots)
        self._training = TrainingProgress(welcome.phases)
        self._going_on = going_on(welcome.replicas)
        self._slot = -1
        self._phase = ""

    def turn(self, turn: Turn) -> Reply:
        """The reply to a turn. ValueError if an action lies outside its space."""
        return self.answer(self.open(turn))

    def open(self, turn: Turn) -> OpenTurn:
        """Read a turn; its reply may wait until somebody outside has chosen the action."""
        ended = self._going_on
        if turn.ended:
            ended = np.frombuffer(turn.ended, np.uint8)
            self.policy.restart(ended > 0)
        spec, decode = self._specs[turn.spec]
        phase = PHASES[turn.phase]
        inbox, acks, unread = self._delivery.receive(turn.inbox) if turn.inbox else ([], [], [])
        context = TurnContext(
            turn.slot,
            turn.turn,
            spec.step,
            phase,
            ended,
            decode(turn.measurement),
            inbox,
            self._rng,
            unread,
            self._training,
        )
        begun = "" if spec.step == "close" else phase
        return OpenTurn(context, acks, b"" if begun == self._phase else self._newly_learnt(begun))

    def answer(self, opened: OpenTurn) -> Reply:
        """The policy's reply to a turn. ValueError if an action lies outside its space."""
        turn = opened.context
        if turn.step == "close":
            last_notes = self._delivery.send(self.policy.close(turn), turn.slot)
            report = _report({}, turn.unread, opened.learnt) if turn.unread or opened.learnt else None
            return Reply(turn.slot, turn.turn, b"", last_notes, report)
        return self.reply(opened, self.policy.on_turn(turn))

    def check(self, action: Records | None) -> bytes:
        """An action, encoded; empty for None. ValueError if it lies outside its space. The node stays as it is."""
        encoded = b"" if action is None else action.tobytes()
        if encoded and not self._action_fits(encoded):
            raise ValueError(f"the policy's action {action} lies outside its space")
        return encoded

    def reply(self, opened: OpenTurn, output: TurnOutput) -> Reply:
        """The reply with this output, whoever chose it. ValueError if its action lies outside its space."""
        turn, learnt = opened.context, opened.learnt
        slot, scalars, unread = turn.slot, output.scalars, turn.unread
        action = b"" if output.action is None else self.check(output.action)
        outbox = self._delivery.send(output.notes, slot) if output.notes else []
        if slot != self._slot:  # the node's first turn of the slot: what is resent comes before the new notes
            self._slot = slot
            if self._delivery.unacknowledged:
                outbox = self._delivery.resend(slot) + outbox
        report = _report(scalars, unread, learnt) if scalars or unread or learnt else None
        return Reply(slot, turn.turn, action, opened.acks + outbox, report)

    def snapshot(self) -> dict[str, Any]:
        """The state between two turns."""
        delivery, policy = self._delivery.snapshot(), self.policy.snapshot()
        return {"slot": self._slot, "phase": self._phase, "delivery": delivery, "policy": policy}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._slot, self._phase = data["slot"], data["phase"]
        self._delivery.restore(data["delivery"])
        self.policy.restore(data["policy"])

    def _newly_learnt(self, phase: str) -> bytes:
        """A phase begins, or "" as the run closes: the weights that the policy has learnt by itself in one of training
        that ends; else b""."""
        before, self._phase = self._phase, phase
        learnt = self.policy.learnt_weights() if before == "train" else None
        return b"" if learnt is None else write_weights(learnt.weights, learnt.policy_version, "float32")


def _report(scalars: Mapping[str, float], unread: Sequence[UnreadNote], weights: bytes) -> Report:
    """The report of a turn; unread notes are counted by source and kind, of which MAX_UNREAD at most are reported.
    ValueError for scalars that no report can hold."""
    if len(scalars) > MAX_SCALARS or not all(0 < len(s) <= MAX_SCALAR_NAME_CHARS and is_name(s) for s in scalars):
        limits = f"at most {MAX_SCALARS} scalars, with printable names of 1 to {MAX_SCALAR_NAME_CHARS} characters"
        raise ValueError(f"the policy reports {len(scalars)} scalars: return {limits}")
    numbers = Counter((note.source, note.kind) for note, _ in unread)
    first = {(note.source, note.kind): reason for note, reason in reversed(unread)}
    counted = [
        Unread(*key, number, first[key][:MAX_REASON_CHARS]) for key, number in list(numbers.items())[:MAX_UNREAD]
    ]
    return Report(dict(scalars), counted, weights)


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
