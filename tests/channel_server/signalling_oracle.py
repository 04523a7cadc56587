"""The signalling model as one list of notes, from which single bits are taken: slow, and plain to see."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from protocol.accounting.air_book import AirRow, AttemptOutcome
from protocol.determinism.rng import CounterRng
from protocol.messages.kinds import Kind, LinkClass
from protocol.messages.node import ReceivedNote
from protocol.messages.signalling import KindRule, LinkBudget, SignallingPlan

LinkId = tuple[int, LinkClass, int]


@dataclass(eq=False)
class Attempt:
    """An attempt. `due`: the slot of its arrival, once its last bit has left."""

    link_id: LinkId
    received: ReceivedNote
    to: tuple[int, ...]
    attempt: int
    bits: int
    receivers_reached: list[int]
    repeated: bool = False
    copied: bool = False
    sent: int = 0
    due: int | None = None

    def row(self, outcome: AttemptOutcome, copies: int, until: int) -> AirRow:
        received, (source, link, _) = self.received, self.link_id
        head = (received.slot, received.turn, source, self.to, link, received.kind, self.attempt, outcome)
        return AirRow(*head, self.sent, received.size_bytes, copies, until, self.repeated, self.copied)


class Oracle:
    """`arrived`: notes since they were last taken, by node, in order. `left`: bits that left, by slot and link."""

    def __init__(
        self,
        plan: SignallingPlan,
        seed: int,
        trainer: int,
        radio: Callable[[int, int], float],
        classes: dict[str, LinkClass],
    ) -> None:
        self.plan, self.seed, self.trainer, self.radio, self.classes = plan, seed, trainer, radio, classes
        self.under_way: list[Attempt] = []
        self.rows: list[AirRow] = []
        self.arrived: list[tuple[int, ReceivedNote]] = []
        self.left: Counter[tuple[int, LinkId]] = Counter()
        self.to_nobody = 0
        self.newest: dict[int, tuple[ReceivedNote, int, int]] = {}  # weights by receiver; their bits, attempts
        self.unacknowledged: dict[int, int | None] = {}
        self.of_kind: Counter[tuple[int, LinkId, Kind]] = Counter()
        self.slot = -1

    def rule(self, link: LinkClass, kind: Kind) -> KindRule:
        return next((r for r in self.plan.rules if (r.link, r.kind) == (link, kind)), KindRule(link, kind))

    def budget(self, link_id: LinkId) -> float:
        budget = next((b for b in self.plan.budgets if b.link == link_id[1]), LinkBudget(link_id[1]))
        if budget.radio_share is not None:
            return int(budget.radio_share * self.radio(self.slot, link_id[0]))
        return 10**9 if budget.bits_per_slot is None else budget.bits_per_slot

    def open(self, slot: int, gone: Collection[int]) -> None:
        self.slot = slot
        for link_id in {attempt.link_id for attempt in self.under_way}:
            self.serve(link_id)
        self.arrive(gone)

    def link(self, source: int, to: tuple[int, ...]) -> LinkClass:
        if source >= self.trainer:
            return self.classes["down"]
        return self.classes["up"] if self.trainer in to else self.classes["between"]

    def post(
        self,
        received: ReceivedNote,
        destination: int,
        to: tuple[int, ...],
        bits: int,
        attempt: int,
        gone: Collection[int],
    ) -> None:
        """The only note of its source in this turn."""
        link = self.link(received.source, to)
        rng = CounterRng(self.seed, "signalling", received.source).at(received.slot, received.turn)
        receivers_reached = self.receivers_reached(rng, link, received.kind, to)
        for node in to if received.kind == Kind.WEIGHTS else ():
            self.newest[node] = (received, bits, attempt)
            if received.source == self.trainer:
                self.unacknowledged[node] = received.sequence
        if link != LinkClass.BACKHAUL or not to:
            bits = bits if link != LinkClass.BACKHAUL else 0
            self.send(
                Attempt((received.source, link, destination), received, to, attempt, bits, receivers_reached), gone
            )
            return
        for i, node in enumerate(to):
            reached = [node] if node in receivers_reached else []
            wire = (received.source, link, node)
            self.send(Attempt(wire, received, (node,), attempt, bits, reached, copied=i > 0), gone)

    def resend(self, node: int) -> None:
        if node in self.newest:
            received, bits, attempt = self.newest[node]
            self.newest[node] = (received, bits, attempt + 1)
            link_id = (received.source, self.link(received.source, (node,)), node)
            receivers_reached = self.receivers_reached(
                CounterRng(self.seed, "retelling", node).at(self.slot), link_id[1], Kind.WEIGHTS, (node,)
            )
            self.send(Attempt(link_id, received, (node,), attempt + 1, bits, receivers_reached, repeated=True), ())

    def send(self, new: Attempt, gone: Collection[int]) -> None:
        kind, sequence = new.received.kind, new.received.sequence
        same = [a for a in self.under_way if (a.link_id[:2], a.received.kind) == (new.link_id[:2], kind)]
        awaited = [a for a in same if a.received.sequence == sequence and new.to and {*new.to} <= {*a.to}]
        if new.attempt > 1 and awaited:
            self.rows.append(new.row(AttemptOutcome.QUEUED, 0, self.slot))
            return
        replaced = [a for a in same if kind == Kind.WEIGHTS and a.due is None and {*a.to} <= {*new.to}]
        for older in sorted(replaced, key=lambda a: (-1, *new.to).index(a.link_id[2])):
            self.under_way.remove(older)
            self.rows.append(older.row(AttemptOutcome.REPLACED, 0, self.slot))
        if not new.to:
            new.sent, new.due = new.bits, self.slot + self.rule(new.link_id[1], kind).delay_slots
            self.to_nobody += new.bits
        self.under_way.append(new)
        self.serve(new.link_id)
        self.arrive(gone)

    def receivers_reached(
        self, rng: np.random.Generator, link: LinkClass, kind: Kind, to: tuple[int, ...]
    ) -> list[int]:
        loss = self.rule(link, kind).loss
        return [node for node in to if rng.random() >= loss]

    def serve(self, link_id: LinkId) -> None:
        """Bit by bit."""
        while (attempt := self.next(link_id)) is not None:
            if attempt.sent == attempt.bits:
                attempt.due = self.slot + self.rule(link_id[1], attempt.received.kind).delay_slots
            else:
                attempt.sent += 1
                self.left[self.slot, link_id] += 1
                self.of_kind[self.slot, link_id, attempt.received.kind] += 1
                assert self.left[self.slot, link_id] <= self.budget(link_id)

    def next(self, link_id: LinkId) -> Attempt | None:
        """Who gets the next bit, or needs none any more."""
        for kind in self.plan.priorities:
            queue = [a for a in self.under_way if a.link_id == link_id and a.received.kind == kind and a.due is None]
            if queue and (queue[0].sent == queue[0].bits or self.may_send(link_id, kind)):
                return queue[0]
        return None

    def may_send(self, link_id: LinkId, kind: Kind) -> bool:
        cap = self.rule(link_id[1], kind).bits_per_slot
        capped = cap is not None and self.of_kind[self.slot, link_id, kind] >= cap
        return self.left[self.slot, link_id] < self.budget(link_id) and not capped

    def arrive(self, gone: Collection[int]) -> None:
        for attempt in [a for a in self.under_way if a.due == self.slot]:
            self.under_way.remove(attempt)
            present = [node for node in attempt.receivers_reached if node not in gone]
            self.arrived += [(node, attempt.received) for node in present]
            lost = len(attempt.receivers_reached) < len(attempt.to)
            whole = AttemptOutcome.DELIVERED if len(present) == len(attempt.to) else AttemptOutcome.GONE
            self.rows.append(attempt.row(AttemptOutcome.LOST if lost else whole, len(present), self.slot))
            ack, source = attempt.received, attempt.received.source
            awaited = self.unacknowledged.get(source, "nothing")
            if ack.kind == Kind.ACK and self.trainer in present and ack.sequence == awaited:
                del self.unacknowledged[source]

    def cut(self) -> None:
        self.rows += [attempt.row(AttemptOutcome.CUT, 0, self.slot) for attempt in self.under_way]
