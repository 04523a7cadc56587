"""The signalling model as one list of notes, from which single bits are taken: slow, and plain to see."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np

from protocol.accounting.air_book import AirRow, Outcome
from protocol.determinism.rng import Chance
from protocol.messages.kinds import Kind, LinkClass
from protocol.messages.node import Letter
from protocol.messages.signalling import KindRule, LinkBudget, SignallingPlan

Lane = tuple[int, LinkClass, int]


@dataclass(eq=False)
class Attempt:
    """A note, told. `due`: the slot of its arrival, once its last bit has left."""

    lane: Lane
    letter: Letter
    to: tuple[int, ...]
    attempt: int
    bits: int
    reaches: list[int]
    repeated: bool = False
    sent: int = 0
    due: int | None = None

    def row(self, outcome: Outcome, copies: int, until: int) -> AirRow:
        letter, (source, link, _) = self.letter, self.lane
        head = (letter.slot, letter.turn, source, self.to, link, letter.kind, self.attempt, outcome)
        return AirRow(*head, self.sent, len(letter.body), copies, until, self.repeated)


class Oracle:
    """`arrived`: letters since they were last taken, by node, in order. `left`: bits that left, by slot and lane."""

    def __init__(self, plan: SignallingPlan, seed: int, trainer: int, radio: Callable[[int, int], float]) -> None:
        self.plan, self.seed, self.trainer, self.radio = plan, seed, trainer, radio
        self.under_way: list[Attempt] = []
        self.rows: list[AirRow] = []
        self.arrived: list[tuple[int, Letter]] = []
        self.left: Counter[tuple[int, Lane]] = Counter()
        self.to_nobody = 0
        self.newest: dict[int, tuple[Letter, int, int]] = {}  # weights by receiver; their bits, how often told
        self.unacknowledged: dict[int, bytes] = {}
        self.of_kind: Counter[tuple[int, Lane, Kind]] = Counter()
        self.slot = -1

    def rule(self, link: LinkClass, kind: Kind) -> KindRule:
        return next((r for r in self.plan.rules if (r.link, r.kind) == (link, kind)), KindRule(link, kind))

    def budget(self, lane: Lane) -> float:
        said = next((b for b in self.plan.budgets if b.link == lane[1]), LinkBudget(lane[1]))
        if said.radio_share is not None:
            return int(said.radio_share * self.radio(self.slot, lane[0]))
        return 10**9 if said.bits_per_slot is None else said.bits_per_slot

    def open(self, slot: int, gone: Collection[int]) -> None:
        self.slot = slot
        for lane in {attempt.lane for attempt in self.under_way}:
            self.serve(lane)
        self.arrive(gone)

    def link(self, source: int, to: tuple[int, ...]) -> LinkClass:
        if source >= self.trainer:
            return LinkClass.DOWNLINK
        return LinkClass.UPLINK if self.trainer in to else LinkClass.SIDELINK

    def post(
        self, letter: Letter, destination: int, to: tuple[int, ...], bits: int, attempt: int, gone: Collection[int]
    ) -> None:
        """The only note of its source in this turn."""
        lane = (letter.source, self.link(letter.source, to), destination)
        rng = Chance(self.seed, "signalling", letter.source).at(0, letter.slot, letter.turn)
        reaches = self.reaches(rng, lane[1], letter.kind, to)
        for node in to if letter.kind == Kind.WEIGHTS else ():
            self.newest[node] = (letter, bits, attempt)
            if letter.source == self.trainer:
                self.unacknowledged[node] = letter.body[:4]
        self.tell(Attempt(lane, letter, to, attempt, bits, reaches), gone)

    def retell(self, node: int) -> None:
        if node in self.newest:
            letter, bits, attempt = self.newest[node]
            self.newest[node] = (letter, bits, attempt + 1)
            lane = (letter.source, self.link(letter.source, (node,)), node)
            reaches = self.reaches(
                Chance(self.seed, "retelling", node).at(0, self.slot), lane[1], Kind.WEIGHTS, (node,)
            )
            self.tell(Attempt(lane, letter, (node,), attempt + 1, bits, reaches, repeated=True), ())

    def tell(self, told: Attempt, gone: Collection[int]) -> None:
        kind, number = told.letter.kind, told.letter.body[:4]
        same = [a for a in self.under_way if (a.lane, a.letter.kind) == (told.lane, kind)]
        if told.attempt > 1 and any(a.letter.body[:4] == number for a in same):
            self.rows.append(told.row(Outcome.QUEUED, 0, self.slot))
            return
        for older in same:
            if kind == Kind.WEIGHTS and older.due is None:
                self.under_way.remove(older)
                self.rows.append(older.row(Outcome.REPLACED, 0, self.slot))
        if not told.to:
            told.sent, told.due = told.bits, self.slot + self.rule(told.lane[1], kind).delay_slots
            self.to_nobody += told.bits
        self.under_way.append(told)
        self.serve(told.lane)
        self.arrive(gone)

    def reaches(self, rng: np.random.Generator, link: LinkClass, kind: Kind, to: tuple[int, ...]) -> list[int]:
        loss = self.rule(link, kind).loss
        return [node for node in to if rng.random() >= loss]

    def serve(self, lane: Lane) -> None:
        """Bit by bit."""
        while (attempt := self.next(lane)) is not None:
            if attempt.sent == attempt.bits:
                attempt.due = self.slot + self.rule(lane[1], attempt.letter.kind).delay_slots
            else:
                attempt.sent += 1
                self.left[self.slot, lane] += 1
                self.of_kind[self.slot, lane, attempt.letter.kind] += 1
                assert self.left[self.slot, lane] <= self.budget(lane)

    def next(self, lane: Lane) -> Attempt | None:
        """Who gets the next bit, or needs none any more."""
        for kind in self.plan.priorities:
            queue = [a for a in self.under_way if a.lane == lane and a.letter.kind == kind and a.due is None]
            if queue and (queue[0].sent == queue[0].bits or self.may_send(lane, kind)):
                return queue[0]
        return None

    def may_send(self, lane: Lane, kind: Kind) -> bool:
        cap = self.rule(lane[1], kind).bits_per_slot
        capped = cap is not None and self.of_kind[self.slot, lane, kind] >= cap
        return self.left[self.slot, lane] < self.budget(lane) and not capped

    def arrive(self, gone: Collection[int]) -> None:
        for attempt in [a for a in self.under_way if a.due == self.slot]:
            self.under_way.remove(attempt)
            heard = [node for node in attempt.reaches if node not in gone]
            self.arrived += [(node, attempt.letter) for node in heard]
            lost = len(attempt.reaches) < len(attempt.to)
            whole = Outcome.DELIVERED if len(heard) == len(attempt.to) else Outcome.GONE
            self.rows.append(attempt.row(Outcome.LOST if lost else whole, len(heard), self.slot))
            source, body = attempt.letter.source, attempt.letter.body
            if attempt.letter.kind == Kind.ACK and self.trainer in heard and self.unacknowledged.get(source) == body:
                del self.unacknowledged[source]

    def cut(self) -> None:
        self.rows += [attempt.row(Outcome.CUT, 0, self.slot) for attempt in self.under_way]
