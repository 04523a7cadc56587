"""The paced clock as a core sees it: deadlines as parts of a slot, who missed one, who owes an answer. No time here."""

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
class Debt:
    """A turn that a node missed, with the notes it was handed; `answered` once the late answer has come."""

    slot: int
    turn: int
    received_notes: list[ReceivedNote]
    acts: bool
    answered: bool = False

    def is_over(self, slot: int) -> bool:
        """Whether the node is asked again from this slot on. Who was too late to act is not in the slot after: it sees
        that a slot is missing, and does not take what came of its fallback's action for its own."""
        return self.answered and not (self.acts and slot == self.slot + 1)


class Pace:
    """Deadlines, debts and counts. `on`: whether turns have deadlines; never in lockstep, nor in the closing turn."""

    def __init__(self, clock: ClockPlan, choreography: Choreography, names: Sequence[str], agents: int) -> None:
        self.on = clock.slot_ms is not None
        self._slot_ms = clock.slot_ms or 0.0
        self._names = names
        self._turns_per_slot = waited_turns(choreography, agents)
        self._opened = 0
        self.debts: dict[int, Debt] = {}  # by node: the turn it missed last
        self._turns: Counter[str] = Counter()
        self._missed: Counter[str] = Counter()
        self._late: Counter[str] = Counter()

    def begin_slot(self, slot: int) -> None:
        """Nodes that have answered meanwhile come back: at the start of a slot, so that they are in all of it."""
        self._opened = 0
        for node in [node for node, debt in self.debts.items() if debt.is_over(slot)]:
            del self.debts[node]

    def begin_turn(self) -> None:
        """A turn that is waited for is opened."""
        self._opened += 1

    @property
    def deadline(self) -> float:
        """The part of the slot after which the open turn's time is over: the turns share it in equal parts."""
        return self._opened / self._turns_per_slot

    def expire(self, gate: Gate) -> None:
        """The gate's deadline has passed: who has not answered has missed the turn, and owes the answer."""
        for node in gate.missing:
            self.debts[node] = Debt(gate.slot, gate.turn, gate.handed.get(node, []), gate.step == "act")
        gate.pass_over(gate.missing)

    @property
    def owed(self) -> list[tuple[int, int, int]]:
        """Answers that have not come: node, slot and turn."""
        return [(node, debt.slot, debt.turn) for node, debt in self.debts.items() if not debt.answered]

    def owes(self, node: int, slot: int, turn: int) -> bool:
        """Whether the answer of this turn is one that comes late."""
        debt = self.debts.get(node)
        return debt is not None and not debt.answered and (debt.slot, debt.turn) == (slot, turn)

    def paid(self, node: int) -> None:
        """The late answer has come."""
        self.debts[node].answered = True
        self._late[self._names[node]] += 1

    def forget(self, node: int) -> list[ReceivedNote]:
        """The node is lost; the notes that it was handed and will not answer."""
        debt = self.debts.pop(node, None)
        return [] if debt is None or debt.answered else debt.received_notes

    def count(self, gate: Gate) -> None:
        """A turn that was waited for has closed."""
        self._turns.update(self._names[node] for node in [*gate.asked, *gate.missed])
        self._missed.update(self._names[node] for node in gate.missed)

    def told(self, length_ms: Spread, lateness_ms: Spread) -> Paced:
        """How the run kept its time."""
        turns, missed, late = dict(self._turns), dict(self._missed), dict(self._late)
        return Paced(self._slot_ms, turns, missed, late, length_ms, lateness_ms)

    def snapshot(self) -> dict[str, Any]:
        """The counts. Nobody owes anything where a run goes on: nodes are snapshotted when they have answered."""
        return {"turns": dict(self._turns), "missed": dict(self._missed), "late": dict(self._late)}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._turns, self._missed, self._late = (Counter(data[name]) for name in ("turns", "missed", "late"))


def waited_turns(choreography: Choreography, agents: int) -> int:
    """How many turns of a slot are waited for: not the network's, which cost no time, nor those of learning."""
    waited = [spec for spec in choreography.turns if spec.who != "network" and spec.step != "learn"]
    return sum(spec.repeat * (agents if spec.who == "agents" and spec.order != "all" else 1) for spec in waited)
