"""The queues at the senders: one per link and kind, served slot by slot out of the link's budget.

A link is a source, a link class and a destination. Over radio all receivers of a note to many are one destination, over
a backhaul each is one. A link exists here while something waits on it or has used its budget in this slot.
"""

from collections import deque
from collections.abc import Callable, Collection, Iterable, Mapping
from math import inf
from operator import attrgetter

from msgspec import Struct
from msgspec.msgpack import decode, encode

from protocol.accounting.air_book import AirRow, AttemptOutcome
from protocol.messages.kinds import Kind, LinkClass
from protocol.messages.node import ReceivedNote
from protocol.messages.signalling import SignallingPlan

LinkId = tuple[int, LinkClass, int]  # source, link class, destination
BROADCAST = -1  # the destination of every note to many over radio
by_order = attrgetter("order", "to")  # a total order: the transmissions of one note over wires differ in `to`
RadioBits = Callable[[int, tuple[int, ...], LinkClass], float]  # source, receivers, class -> bits per slot of radio


class Transmission(Struct, array_like=True):
    """One attempt on its way. `order`: counts the notes sent, resent ones anew; `receivers_reached`: those who do not
    lose their copy; `sent`: bits that have left so far, of `bits`. `repeated`, `copied`: as in the air book."""

    order: int
    note: ReceivedNote
    to: tuple[int, ...]
    destination: int  # one of `to`, or BROADCAST
    receivers_reached: tuple[int, ...]
    link: LinkClass
    attempt: int
    bits: int
    repeated: bool = False
    sent: int = 0
    copied: bool = False

    @property
    def link_id(self) -> LinkId:
        return (self.note.source, self.link, self.destination)

    def repeats(self, other: "Transmission") -> bool:
        """Whether the other is an attempt of the same acknowledged note, and all receivers of this one await it."""
        note, earlier = self.note, other.note
        same_note = (note.source, note.kind, note.sequence) == (earlier.source, earlier.kind, earlier.sequence)
        return same_note and self.link == other.link and bool(self.to) and set(self.to).issubset(other.to)

    def row(self, outcome: AttemptOutcome, copies: int, until: int) -> AirRow:
        """Its row of the air book, charged with the bits that have left."""
        note = self.note
        return AirRow(
            note.slot,
            note.turn,
            note.source,
            self.to,
            self.link,
            note.kind,
            self.attempt,
            outcome,
            self.sent,
            note.size_bytes,
            copies,
            until,
            self.repeated,
            self.copied,
        )


class LinkQueues:
    """The queues of all links under a plan's budgets. `rationed`: the classes that have one. `radio_bits`: what a whole
    slot of a link's radio carries."""

    def __init__(self, plan: SignallingPlan, radio_bits: RadioBits) -> None:
        self._rank = {kind: rank for rank, kind in enumerate(plan.priorities)}
        self._budgets = {budget.link: budget for budget in plan.budgets}
        self._caps: dict[LinkClass, dict[Kind, int]] = {}
        for rule in plan.rules:
            if rule.bits_per_slot is not None:
                self._caps.setdefault(rule.link, {})[rule.kind] = rule.bits_per_slot
        self.rationed = self._budgets.keys() | self._caps.keys()
        self._radio_bits = radio_bits
        self._links: dict[LinkId, _Link] = {}

    def open(self) -> list[Transmission]:
        """Begin a slot: every link gets a new budget. Returns the attempts whose last bit leaves now."""
        links, self._links = self._links, {}
        left: list[Transmission] = []
        for link_id, link in links.items():
            if oldest := link.oldest:
                self._links[link_id] = link
                link.renew(self._budget(oldest), self._caps.get(oldest.link, {}))
                left += link.serve()
        return left

    def send(self, transmission: Transmission) -> list[Transmission]:
        """Queue an attempt, unless it needs no budget. Returns those whose last bit leaves now."""
        if transmission.link not in self.rationed or not transmission.to:  # without receivers it loads no link
            transmission.sent = transmission.bits
            return [transmission]
        link_id = transmission.link_id
        link = self._links.get(link_id)
        if link is None:
            link = self._links[link_id] = _Link(self._rank)
            link.renew(self._budget(transmission), self._caps.get(transmission.link, {}))
        link.queue(transmission)
        return link.serve()

    def withdraw_older(self, newer: Transmission) -> list[Transmission]:
        """Empty the queues of what the same source sends of the same kind to nobody but receivers of this one."""
        to = frozenset(newer.to)
        return [older for link in self._links_to(newer) for older in link.withdraw(newer.note.kind, to)]

    def waits(self, attempt: Transmission) -> bool:
        """Whether another attempt of the same note is queued for all receivers of this one."""
        return any(attempt.repeats(other) for link in self._links_to(attempt) for other in link.waiting)

    @property
    def waiting(self) -> list[Transmission]:
        """What has not left in full, in the order of sending."""
        return sorted((transmission for link in self._links.values() for transmission in link.waiting), key=by_order)

    def snapshot(self) -> list[bytes]:
        """What waits between two slots; budgets are not kept, as the next slot brings new ones."""
        return [encode(transmission) for transmission in self.waiting]

    def restore(self, data: Iterable[bytes]) -> None:
        """The inverse of `snapshot`, before `open`."""
        self._links = {}
        for transmission in (decode(raw, type=Transmission) for raw in data):
            self._links.setdefault(transmission.link_id, _Link(self._rank)).queue(transmission)

    def _links_to(self, transmission: Transmission) -> "Iterable[_Link]":
        """The links on which its source sends to some of its receivers, over the same class."""
        source, link, _ = transmission.link_id
        ids = ((source, link, destination) for destination in (BROADCAST, *transmission.to))
        return [self._links[link_id] for link_id in ids if link_id in self._links]

    def _budget(self, oldest: Transmission) -> float:
        """Bits of this slot; over radio what the oldest note's receivers can receive."""
        budget = self._budgets.get(oldest.link)
        if budget is None:
            return inf
        if budget.radio_share is not None:
            return int(budget.radio_share * self._radio_bits(oldest.note.source, oldest.to, oldest.link))
        return inf if budget.bits_per_slot is None else budget.bits_per_slot


class _Link:
    """The queues of one link, and what is left of its budget in this slot."""

    def __init__(self, rank: Mapping[Kind, int]) -> None:
        self._rank = rank
        self._left = 0.0
        self._left_of: dict[Kind, float] = {}
        self._queues: dict[Kind, deque[Transmission]] = {}  # in the order of priority

    def renew(self, budget: float, caps: Mapping[Kind, int]) -> None:
        self._left, self._left_of = budget, dict(caps)

    @property
    def oldest(self) -> Transmission | None:
        return min((queue[0] for queue in self._queues.values() if queue), key=by_order, default=None)

    @property
    def waiting(self) -> list[Transmission]:
        return [transmission for queue in self._queues.values() for transmission in queue]

    def queue(self, transmission: Transmission) -> None:
        kind = transmission.note.kind
        if kind not in self._queues:
            self._queues[kind] = deque()
            if len(self._queues) > 1:
                self._queues = dict(sorted(self._queues.items(), key=lambda item: self._rank[item[0]]))
        self._queues[kind].append(transmission)

    def withdraw(self, kind: Kind, receivers: Collection[int]) -> list[Transmission]:
        """Take out what is for none but these receivers."""
        withdrawn: list[Transmission] = []
        kept: deque[Transmission] = deque()
        for transmission in self._queues.get(kind, ()):
            (withdrawn if all(node in receivers for node in transmission.to) else kept).append(transmission)
        if withdrawn:
            self._queues[kind] = kept
        return withdrawn

    def serve(self) -> list[Transmission]:
        """Spend the budget by priority, within a kind first come, first served. Returns those whose last bit leaves."""
        left = []
        for queue in self._queues.values():
            while queue:
                self._spend(queue[0])
                if queue[0].sent < queue[0].bits:
                    break
                left.append(queue.popleft())
        return left

    def _spend(self, transmission: Transmission) -> None:
        kind = transmission.note.kind
        cap = self._left_of.get(kind, inf)
        bits = min(transmission.bits - transmission.sent, self._left, cap)
        transmission.sent += int(bits)
        self._left -= bits
        self._left_of[kind] = cap - bits
