"""The paced clock without a clock: deadlines as parts of a slot, missed turns, late replies."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from channel_server.gate import Gate
from protocol.messages.choreography import Choreography
from protocol.messages.node import ReceivedNote
from protocol.messages.plan import ClockPlan
from protocol.messages.telemetry import Paced, Spread


@dataclass
class MissedTurn:
    """A turn that a node missed, with the notes of its inbox; `answered` once its late reply has come."""

    slot: int
    turn: int
    received_notes: list[ReceivedNote]
    acts: bool
    answered: bool = False

    def is_over(self, slot: int) -> bool:
        """Whether the node is asked again from this slot on.

        A node that was too late to act sits out the slot after. It sees that a slot is missing, and does not take the
        result of its fallback's action for its own.
        """
        return self.answered and not (self.acts and slot == self.slot + 1)


class Pace:
    """Deadlines and counts of turns. `on`: whether turns have deadlines; never in lockstep, nor in the closing turn.
    `missed`: by node, the turn that it missed last."""

    def __init__(self, clock: ClockPlan, choreography: Choreography, names: Sequence[str], agents: int) -> None:
        self.on = clock.slot_ms is not None
        self._slot_ms = clock.slot_ms or 0.0
        self._names = names
        self._turns_per_slot = waited_turns(choreography, agents)
        self._opened = 0
        self.missed: dict[int, MissedTurn] = {}
        self._turn_counts: Counter[str] = Counter()
        self._missed_counts: Counter[str] = Counter()
        self._late_counts: Counter[str] = Counter()

    def begin_slot(self, slot: int) -> None:
        """Nodes whose late reply has come are asked again: from the start of a slot, so that they are in all of it."""
        self._opened = 0
        for node in [node for node, missed in self.missed.items() if missed.is_over(slot)]:
            del self.missed[node]

    def begin_turn(self) -> None:
        """A turn that is waited for is opened."""
        self._opened += 1

    @property
    def deadline(self) -> float:
        """The part of the slot after which the open turn's time is over: the turns share it in equal parts."""
        return self._opened / self._turns_per_slot

    def expire(self, gate: Gate) -> None:
        """The gate's deadline has passed: nodes that have not answered have missed the turn."""
        for node in gate.missing:
            self.missed[node] = MissedTurn(gate.slot, gate.turn, gate.inboxes.get(node, []), gate.step == "act")
        gate.pass_over(gate.missing)

    @property
    def behind(self) -> set[int]:
        """Nodes that missed a turn and are not asked again yet."""
        return set(self.missed)

    @property
    def unanswered(self) -> list[tuple[int, int, int]]:
        """Missed turns whose reply has not come: node, slot and turn."""
        return [(node, missed.slot, missed.turn) for node, missed in self.missed.items() if not missed.answered]

    def is_late(self, node: int, slot: int, turn: int) -> bool:
        """Whether a node's reply to this turn comes late."""
        missed = self.missed.get(node)
        return missed is not None and not missed.answered and (missed.slot, missed.turn) == (slot, turn)

    def take_late(self, node: int) -> None:
        """The late reply has come."""
        self.missed[node].answered = True
        self._late_counts[self._names[node]] += 1

    def forget(self, node: int) -> list[ReceivedNote]:
        """The node is lost. Returns the notes of the turn that it has missed and will not reply to."""
        missed = self.missed.pop(node, None)
        return [] if missed is None or missed.answered else missed.received_notes

    def count(self, gate: Gate) -> None:
        """A turn that was waited for has closed."""
        self._turn_counts.update(self._names[node] for node in [*gate.asked, *gate.missed])
        self._missed_counts.update(self._names[node] for node in gate.missed)

    def summary(self, length_ms: Spread, lateness_ms: Spread, nice: int) -> Paced:
        """The telemetry of how well the run kept its time."""
        turns, missed, late = dict(self._turn_counts), dict(self._missed_counts), dict(self._late_counts)
        return Paced(self._slot_ms, turns, missed, late, length_ms, lateness_ms, nice)

    def snapshot(self) -> dict[str, Any]:
        """The counts. Where a run resumes no reply is late: a node sends its state after its last reply."""
        return {
            "turns": dict(self._turn_counts),
            "missed": dict(self._missed_counts),
            "late": dict(self._late_counts),
        }

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        counts = (Counter(data[name]) for name in ("turns", "missed", "late"))
        self._turn_counts, self._missed_counts, self._late_counts = counts


def waited_turns(choreography: Choreography, agents: int) -> int:
    """How many turns of a slot are waited for: not the network's, which cost no time, nor those of learning."""
    waited = [spec for spec in choreography.turns if spec.who != "network" and spec.step != "learn"]
    return sum(spec.repeat * (agents if spec.who == "agents" and spec.order != "all" else 1) for spec in waited)
