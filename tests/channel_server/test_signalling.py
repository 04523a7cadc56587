"""The relay under a signalling model: against a plain list of notes, and against arithmetic."""

import math
from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from channel_server.relay import Relay
from channel_server.routes import Routes
from protocol.accounting.air_book import AirRow, AttemptOutcome
from protocol.determinism.snapshots import pack, unpack
from protocol.messages.kinds import NEIGHBOURS, CloudLink, Kind, LinkClass
from protocol.messages.node import Note, ReceivedNote
from protocol.messages.signalling import PRIORITIES, KindRule, LinkBudget, SignallingPlan
from tests.channel_server.signalling_oracle import Oracle

AGENTS = 3
TRAINER = AGENTS
NEIGHBOURHOODS = ((1, 2), (0,), ())
NODES = range(AGENTS + 1)

kinds = st.sampled_from([Kind.NEIGHBOUR, Kind.FEEDBACK, Kind.HISTORY, Kind.WEIGHTS, Kind.ACK])
links = st.sampled_from(LinkClass)
rules = st.builds(
    KindRule, links, kinds, st.integers(0, 3), st.sampled_from([0.0, 0.3, 1.0]), st.none() | st.integers(1, 12)
)
budgets = st.builds(LinkBudget, links, st.integers(1, 20)) | st.builds(LinkBudget, links, st.none(), st.just(0.5))
plans = st.builds(
    SignallingPlan,
    st.lists(rules, max_size=6, unique_by=lambda rule: (rule.link, rule.kind)).map(tuple),
    st.lists(budgets, max_size=3, unique_by=lambda budget: budget.link).map(tuple),
    st.permutations(PRIORITIES).map(tuple),
)
destinations = st.just((NEIGHBOURS,)) | st.sets(st.sampled_from(NODES), min_size=1, max_size=3).map(
    lambda s: tuple(sorted(s))
)
bodies, sequences = st.sampled_from([b"", b"body"]), st.sampled_from([None, 1, 2])
notes = st.builds(Note, destinations, kinds, bodies, st.none() | st.integers(0, 60), st.none(), st.just(1), sequences)
RADIO = {"between": LinkClass.SIDELINK, "up": LinkClass.UPLINK, "down": LinkClass.DOWNLINK}
WIRES = dict.fromkeys(RADIO, LinkClass.BACKHAUL)
worlds = st.sampled_from([RADIO, WIRES, RADIO | {"between": LinkClass.BACKHAUL}])
sent = st.tuples(st.sampled_from([0, 1, 2, TRAINER, 5]), notes, st.booleans())
slots = st.tuples(st.sets(st.sampled_from(NODES), max_size=1), st.booleans(), st.booleans(), st.lists(sent, max_size=5))


def _radio(slot: int, source: int) -> float:
    """Bits of a whole slot of radio; in some slots none."""
    return 7.0 * ((slot + source) % 4)


class _Relayed:
    """A relay and its oracle side by side: after every step both have put the same rows and notes out."""

    def __init__(self, plan: SignallingPlan, classes: dict[str, LinkClass], replicas: int) -> None:
        self.plan, self.classes, self.replicas, self.slot = plan, classes, replicas, -1
        self.relay, self.oracle = self.fresh(), Oracle(plan, 7, TRAINER, _radio, classes)
        self.rows: list[AirRow] = []

    def fresh(self) -> Relay:
        cloud: CloudLink = "radio" if self.classes["up"] == LinkClass.UPLINK else "backhaul"
        routes = Routes(AGENTS, self.classes["between"], cloud, has_trainer=True)
        radio = lambda source, _to, _link: _radio(self.slot, source)  # noqa: E731
        return Relay(routes, self.plan, seed=7, replicas=self.replicas, radio_bits=radio)

    def open(self, gone: set[int], *, restored: bool, returning: bool) -> None:
        if restored:
            data = unpack(pack(self.relay.snapshot()))
            self.relay = self.fresh()
            self.relay.restore(data)
        self.slot += 1
        self.relay.open(self.slot, gone=gone)
        self.oracle.open(self.slot, gone)
        for node in [0, 1] if returning else []:
            if node not in gone:
                self.relay.resend_weights(self.slot, node)
                self.oracle.resend(node)
        self.compare()

    def post(self, turn: int, source: int, note: Note, gone: set[int]) -> None:
        to = NEIGHBOURHOODS[source] if note.to == (NEIGHBOURS,) else note.to
        self.relay.post(self.slot, turn, source, [note], gone=gone, neighbours=lambda: NEIGHBOURHOODS)
        destination = note.to[0] if len(note.to) == 1 and note.to != (NEIGHBOURS,) else -1
        stacked = 1 if note.kind in (Kind.WEIGHTS, Kind.ACK) else self.replicas
        bits = math.ceil(8 * len(note.body) / stacked) if note.payload_bits is None else note.payload_bits
        bits += 0 if note.sequence is None else 32
        received = ReceivedNote(source, note.kind, self.slot, turn, note.body, note.sequence)
        self.oracle.post(received, destination, to, bits, note.attempt, gone)
        self.compare()

    def compare(self) -> None:
        rows, self.oracle.rows, expected = self.relay.drain_rows(), [], self.oracle.rows
        assert rows == expected
        self.rows += rows
        received_notes, self.oracle.arrived = self.oracle.arrived, []
        for node in NODES:
            assert self.relay.collect(node) == [received for reader, received in received_notes if reader == node]
        assert self.relay.awaits_acks == bool(self.oracle.unacknowledged)

    def end(self) -> None:
        self.relay.cut(self.slot)
        self.oracle.cut()
        self.compare()


@settings(max_examples=150)
@given(plans, worlds, st.sampled_from([1, 3]), st.lists(slots, min_size=1, max_size=8))
def test_it_equals_a_list_of_notes_from_which_bits_are_taken(
    plan: SignallingPlan,
    classes: dict[str, LinkClass],
    replicas: int,
    played: list[tuple],  # type: ignore[type-arg]
) -> None:
    """Nothing is lost, sent twice, early or out of order, and no budget exceeded, unless the model says so."""
    relayed = _Relayed(plan, classes, replicas)
    n_sent = 0
    for gone, restored, returning, outboxes in played:
        relayed.open(gone, restored=restored, returning=returning)
        for turn, (source, note, again) in enumerate(outboxes):
            if (note.to == (NEIGHBOURS,) and source >= AGENTS) or source in note.to:
                continue
            attempt = 2 if again and note.kind in (Kind.HISTORY, Kind.WEIGHTS) else 1
            relayed.post(turn, source, structs.replace(note, attempt=attempt), gone)
            n_sent += 1
    relayed.end()
    oracle = relayed.oracle
    assert sum(row.payload_bits for row in relayed.rows) == sum(oracle.left.values()) + oracle.to_nobody
    assert len([row for row in relayed.rows if row.crossed_socket]) == n_sent


def _relay(*rules: KindRule, budgets: Sequence[LinkBudget] = ()) -> Relay:
    routes = Routes(AGENTS, LinkClass.SIDELINK, "radio", has_trainer=True)
    plan = SignallingPlan(rules, tuple(budgets))
    return Relay(routes, plan, seed=7, replicas=1, radio_bits=lambda *_: 0.0)


def _post(relay: Relay, slot: int, source: int, *notes: Note, turn: int = 0) -> None:
    relay.post(slot, turn, source, notes, gone=(), neighbours=lambda: NEIGHBOURHOODS)


def test_a_long_note_arrives_when_its_last_bit_has_left() -> None:
    """300 kB at 10 kbit a slot take 240 slots, of which the first is the one in which they are sent."""
    relay = _relay(
        KindRule(LinkClass.UPLINK, Kind.HISTORY, delay_slots=2), budgets=[LinkBudget(LinkClass.UPLINK, 10_000)]
    )
    arrivals = []
    for slot in range(300):
        relay.open(slot, gone=())
        arrivals += [slot] * len(relay.collect(TRAINER))
        if slot == 5:
            _post(relay, slot, 0, Note((TRAINER,), Kind.HISTORY, bytes(300_000)))
    [row] = relay.drain_rows()
    assert arrivals == [5 + 239 + 2]
    assert (row.slot, row.until, row.payload_bits, row.outcome) == (5, 246, 2_400_000, AttemptOutcome.DELIVERED)


def test_every_attempt_of_a_resent_note_is_in_the_books() -> None:
    """A session that resends every 7 slots until its note arrives; each takes 3 slots and 30 % are lost."""
    plan = KindRule(LinkClass.UPLINK, Kind.HISTORY, loss=0.3, delay_slots=1)
    relay = _relay(plan, budgets=[LinkBudget(LinkClass.UPLINK, 40)])
    number, attempt, sent_at, taken = 1, 1, 0, []
    for slot in range(600):
        relay.open(slot, gone=())
        if read := relay.collect(TRAINER):
            taken += [(number, attempt, slot)] * len(read)
            number, attempt, sent_at = number + 1, 1, slot
            _post(relay, slot, 0, _numbered(number, 1))
        elif slot == sent_at + 7 or slot == 0:
            attempt, sent_at = attempt + (slot > 0), slot
            _post(relay, slot, 0, _numbered(number, attempt))
    relay.cut(599)
    rows = relay.drain_rows()
    assert [(row.attempt, row.until) for row in rows if row.outcome is AttemptOutcome.DELIVERED] == [
        t[1:] for t in taken
    ]
    last_attempts = {t[0]: t[1] for t in taken}
    assert len(rows) == sum(last_attempts.values()) + attempt
    lost = [row for row in rows if row.outcome is AttemptOutcome.LOST]
    assert all(row.payload_bits == 96 and row.copies == 0 and row.until - row.slot == 3 for row in lost)
    assert 0.2 < len(lost) / len(rows) < 0.4


def _numbered(number: int, attempt: int) -> Note:
    return Note((TRAINER,), Kind.HISTORY, bytes(8), attempt=attempt, sequence=number)


def test_strict_priority_takes_the_next_bits_from_a_note_that_has_begun() -> None:
    relay = _relay(budgets=[LinkBudget(LinkClass.UPLINK, 10)])
    relay.open(0, gone=())
    _post(relay, 0, 0, Note((TRAINER,), Kind.HISTORY, b"long", 25), Note((TRAINER,), Kind.DECISION, b"soon", 12))
    arrived = []
    for slot in range(1, 5):
        relay.open(slot, gone=())
        arrived += [(received.body, slot) for received in relay.collect(TRAINER)]
    assert arrived == [(b"soon", 2), (b"long", 3)]


def test_newer_weights_take_the_place_of_those_that_wait_and_their_bits_are_booked() -> None:
    relay = _relay(budgets=[LinkBudget(LinkClass.DOWNLINK, 10)])
    relay.open(0, gone=())
    _post(relay, 0, TRAINER, Note((0,), Kind.WEIGHTS, b"old", 25), Note((1,), Kind.WEIGHTS, b"other", 25))
    relay.open(1, gone=())
    _post(relay, 1, TRAINER, Note((0,), Kind.WEIGHTS, b"new", 25))
    relay.open(2, gone=())
    relay.cut(2)
    rows = [(row.to, row.slot, row.outcome, row.payload_bits) for row in relay.drain_rows()]
    assert rows == [
        ((0,), 0, AttemptOutcome.REPLACED, 20),
        ((1,), 0, AttemptOutcome.DELIVERED, 25),
        ((0,), 1, AttemptOutcome.CUT, 10),
    ]


def test_a_rule_does_not_change_the_draws_of_other_notes() -> None:
    """Which copies of feedback are lost does not depend on the rules of what is sent before it in the same turn."""
    outbox = [Note((0, 1, 2), Kind.CSI, b"first"), *(Note((node,), Kind.FEEDBACK, b"then") for node in range(3))]
    lossy = KindRule(LinkClass.DOWNLINK, Kind.FEEDBACK, loss=0.5)
    lost = []
    for csi in [KindRule(LinkClass.DOWNLINK, Kind.CSI, delay_slots=1), KindRule(LinkClass.DOWNLINK, Kind.CSI, loss=1)]:
        relay = _relay(csi, lossy)
        for slot in range(20):
            relay.open(slot, gone=())
            _post(relay, slot, TRAINER, *outbox)
        feedback = [row for row in relay.drain_rows() if row.kind == Kind.FEEDBACK]
        lost.append([row.outcome is AttemptOutcome.LOST for row in feedback])
    assert lost[0] == lost[1]
    assert 20 < sum(lost[0]) < 40


def test_the_newest_weights_are_awaited_until_their_acknowledgement_has_arrived() -> None:
    relay = _relay(KindRule(LinkClass.UPLINK, Kind.ACK, delay_slots=1))
    relay.open(0, gone=())
    _post(relay, 0, TRAINER, Note((1,), Kind.WEIGHTS, b"w", sequence=1))
    _post(relay, 0, 1, Note((TRAINER,), Kind.ACK, b"", sequence=1), turn=1)
    _post(relay, 0, TRAINER, Note((1,), Kind.WEIGHTS, b"w", sequence=2), turn=2)
    relay.open(1, gone=())
    assert relay.awaits_acks
    _post(relay, 1, 1, Note((TRAINER,), Kind.ACK, b"", sequence=2))
    assert relay.awaits_acks
    relay.open(2, gone=())
    assert not relay.awaits_acks
