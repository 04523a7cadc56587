"""Acknowledged delivery: every history is taken once, whatever is lost, late or repeated; of weights the newest."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from agent_node.core import Node
from agent_node.delivery import WINDOW, AckedDelivery, ReceiveWindow
from channel_server.worlds.d2d_underlay import WORLD, D2DUnderlay
from protocol.determinism.snapshots import pack, unpack
from protocol.messages.choreography import CLOSING
from protocol.messages.kinds import NEIGHBOURS, TRAINER, Kind
from protocol.messages.node import Note, ReceivedNote, Reply, Turn, Welcome
from schemes.contract import NodePolicy, TurnContext, TurnOutput, to_trainer
from schemes.li2020 import random as scheme
from tests.schemes.direct import welcome_for

AT = 9  # the trainer's index


def _delivery(resend_after_slots: int = 0) -> AckedDelivery:
    return AckedDelivery(trainer=AT, resend_after_slots=resend_after_slots)


def _restored(delivery: AckedDelivery, resend_after_slots: int = 0) -> AckedDelivery:
    again = _delivery(resend_after_slots)
    again.restore(unpack(pack(delivery.snapshot())))
    return again


def _received_note(note: Note, source: int = 0) -> ReceivedNote:
    return ReceivedNote(source, note.kind, 0, 0, note.body, note.sequence)


@given(st.lists(st.tuples(st.sampled_from([Kind.HISTORY, Kind.WEIGHTS, Kind.CSI]), st.binary(max_size=5))))
def test_notes_arrive_as_they_were_sent_and_are_acknowledged(sent: list[tuple[Kind, bytes]]) -> None:
    sender, receiver = _delivery(), _delivery()
    notes = sender.send([Note((1,), kind, body) for kind, body in sent], 7)
    received_notes, acks, _ = receiver.receive([_received_note(note) for note in notes])
    assert [(received.kind, received.body) for received in received_notes] == sent
    assert [ack.sequence for ack in acks] == [note.sequence for note in notes if note.kind != Kind.CSI]
    assert all((ack.body, ack.size_bytes, ack.charged_bits(8)) == (b"", 4, 32) for ack in acks)
    assert sender.receive([_received_note(ack, 1) for ack in acks]) == ([], [], [])
    assert not sender.unacknowledged


def test_a_repetition_is_acknowledged_again_but_not_passed_again() -> None:
    sender, receiver = _delivery(), _delivery()
    [note] = sender.send([Note((1,), Kind.HISTORY, b"rows")], 0)
    first, acks, _ = receiver.receive([_received_note(note)])
    again, acks_again, _ = receiver.receive([_received_note(note)])
    assert [received.body for received in first] == [b"rows"]
    assert (again, acks_again) == ([], acks)


def test_numbers_are_counted_per_source() -> None:
    receiver = _delivery()
    received_notes = [
        _received_note(_delivery().send([Note((9,), Kind.WEIGHTS, b"w")], 0)[0], source) for source in (3, 4)
    ]
    assert [received.source for received in receiver.receive(received_notes)[0]] == [3, 4]


def test_what_is_not_acknowledged_survives_a_snapshot() -> None:
    sender = _delivery()
    sent = sender.send([Note((1,), Kind.HISTORY, b"rows")], 0)
    again = _restored(sender)
    assert [unacked.note for unacked in again.unacknowledged.values()] == sent
    assert again.send([Note((1,), Kind.HISTORY, b"more")], 0)[0].sequence == 2


def test_the_first_note_of_a_node_that_starts_anew_passes() -> None:
    receiver = _delivery()
    for slot in range(20):
        [note] = _delivery().send([Note((9,), Kind.HISTORY, b"a")], slot)  # as if it had restarted before every slot
        assert [received.body for received in receiver.receive([_received_note(note)])[0]] == [b"a"]


def test_of_weights_only_the_newest_wait_for_their_acknowledgement() -> None:
    sender = _delivery()
    for slot in range(5):
        sender.send([Note((receiver,), Kind.WEIGHTS, bytes([slot])) for receiver in (1, 2)], slot)
    assert [unacked.note.body[-1] for unacked in sender.unacknowledged.values()] == [4, 4]


def test_what_is_not_acknowledged_is_resent_with_number_and_body() -> None:
    sender, receiver = _delivery(3), _delivery()
    [first] = sender.send([to_trainer(Kind.HISTORY, b"rows")], 10)
    assert sender.resend(12) == []
    [second] = sender.resend(13)
    assert second == structs.replace(first, attempt=2)
    assert (second.to, first.attempt) == ((TRAINER,), 1)
    sender = _restored(sender, 3)
    assert sender.resend(15) == []  # time counts from the last attempt
    [third] = sender.resend(17)
    assert third.attempt == 3
    received_notes, acks, _ = receiver.receive([_received_note(note, 0) for note in (second, third)])
    assert ([received.body for received in received_notes], len(acks)) == ([b"rows"], 2)
    sender.receive([_received_note(acks[0], AT)])
    assert sender.resend(99) == []


def test_nothing_is_resent_unless_asked_for() -> None:
    sender = _delivery(0)
    sender.send([to_trainer(Kind.HISTORY, b"rows")], 0)
    assert sender.resend(1000) == []


def test_an_acknowledgement_counts_for_its_source_alone() -> None:
    sender = _delivery(1)
    own, other = sender.send([to_trainer(Kind.HISTORY, b"up"), Note((2,), Kind.WEIGHTS, b"w")], 0)
    assert own.sequence == other.sequence  # numbers are counted by receiver
    sender.receive([ReceivedNote(2, Kind.ACK, 0, 0, b"", other.sequence)])
    assert sender.resend(1) == [structs.replace(own, attempt=2)]


def test_weights_to_many_are_resent_in_one_note_to_those_that_have_not_acknowledged_them() -> None:
    sender = _delivery(3)
    sender.send([Note((4,), Kind.WEIGHTS, b"own")], 0)
    sender.send([Note((4,), Kind.WEIGHTS, b"own again")], 0)
    [first] = sender.send([Note((2, 4, 5), Kind.WEIGHTS, b"shared")], 0)
    assert first.sequence == 3  # above all numbers that any of its receivers has seen
    assert [unacked.note for unacked in sender.unacknowledged.values()] == [first] * 3
    sender.receive([ReceivedNote(4, Kind.ACK, 1, 0, b"", 3), ReceivedNote(7, Kind.ACK, 1, 0, b"", 3)])
    sender = _restored(sender, 3)
    assert sender.resend(2) == []
    [second] = sender.resend(3)
    assert second == structs.replace(first, to=(2, 5), attempt=2)
    [other] = sender.send([Note((5,), Kind.WEIGHTS, b"newer")], 4)
    assert other.sequence == 5
    assert sender.resend(6) == [structs.replace(first, to=(2,), attempt=3)]
    sender.receive([ReceivedNote(2, Kind.ACK, 6, 0, b"", 3)])
    assert sender.resend(99) == [structs.replace(other, attempt=2)]


@pytest.mark.parametrize(
    ("note", "fix"),
    [
        (Note((NEIGHBOURS,), Kind.WEIGHTS, b"w"), "acknowledged by each receiver: name their indices"),
        (Note((), Kind.WEIGHTS, b"w"), "acknowledged by each receiver: name their indices"),
        (Note((1, 2), Kind.HISTORY, b"rows"), "a history has one receiver, not 2: send each a note of its own"),
    ],
)
def test_what_cannot_be_acknowledged_is_not_sent(note: Note, fix: str) -> None:
    with pytest.raises(ValueError, match=fix):
        _delivery().send([note], 0)


def test_groups_that_share_receivers_may_not_use_up_the_numbers() -> None:
    """Each note's number is above those of the group before it, so that a chain of groups counts as one receiver."""
    sender = _delivery()
    for i in range(WINDOW + 8):
        sender.send([Note((i, i + 1), Kind.WEIGHTS, b"w")], 0)
        sender.unacknowledged.clear()
    with pytest.raises(ValueError, match="receivers drop more than 8 acknowledged notes per slot"):
        sender.send([Note((WINDOW + 8, 0), Kind.WEIGHTS, b"w")], 0)


def test_older_weights_are_acknowledged_but_not_passed() -> None:
    sender, receiver = _delivery(), _delivery()
    old, new = (sender.send([Note((1,), Kind.WEIGHTS, bytes([slot]))], slot)[0] for slot in (0, 5))
    assert [received.body for received in receiver.receive([_received_note(new)])[0]] == [b"\5"]
    assert receiver.receive([_received_note(old)]) == ([], [Note((0,), Kind.ACK, b"", sequence=old.sequence)], [])


def test_a_note_without_a_number_passes_and_is_not_acknowledged() -> None:
    plain = [ReceivedNote(0, kind, 0, 0, b"as it is") for kind in (Kind.HISTORY, Kind.WEIGHTS)]
    assert _delivery().receive([*plain, ReceivedNote(0, Kind.ACK, 0, 0, b"")]) == (plain, [], [])


@given(st.lists(st.tuples(st.integers(1, 40), st.booleans()), max_size=60))
def test_a_window_of_numbers_is_as_good_as_all_of_them(steps: list[tuple[int, bool]]) -> None:
    taken, exact, sent = ReceiveWindow(), set[int](), [0]
    for step, again in steps:
        number = sent[-min(step, len(sent))] if again and len(sent) > 1 else sent[-1] + step
        sent.append(max(sent[-1], number))
        if number:
            assert taken.take(number) == (number not in exact)
            exact.add(number)


def test_memory_is_bounded_and_its_sender_gives_up_what_falls_out_of_it() -> None:
    sender, receiver = _delivery(1), _delivery()
    [lost] = sender.send([to_trainer(Kind.HISTORY, b"lost")], 0)
    for slot in (1, WINDOW - 1):
        receiver.receive([_received_note(note) for note in sender.send([to_trainer(Kind.HISTORY, b"")], slot)])
    assert lost.body in [note.body for note in sender.resend(WINDOW)]
    assert [received.body for received in receiver.receive([_received_note(lost)])[0]] == [b"lost"]
    sender.send([to_trainer(Kind.HISTORY, b"")], WINDOW)
    assert lost.body not in [note.body for note in sender.resend(2 * WINDOW)]
    small = len(pack(receiver.snapshot()))
    receiver.receive(
        [_received_note(sender.send([to_trainer(Kind.HISTORY, b"")], 2**32 - 2)[0])]
    )  # any leap of numbers
    assert len(pack(receiver.snapshot())) < small + 10


@settings(max_examples=20)
@given(st.integers(0, 10_000))
def test_over_a_bad_link_every_history_arrives_once(seed: int) -> None:
    rng, sender, receiver = random.Random(seed), _delivery(3), _delivery()
    up: list[tuple[int, Note]] = []
    down: list[tuple[int, Note]] = []
    taken: list[bytes] = []

    def post(link: list[tuple[int, Note]], notes: list[Note], slot: int) -> None:
        link += [(slot + rng.randrange(8), note) for note in notes if rng.random() > 0.4]

    def arriving(link: list[tuple[int, Note]], source: int, slot: int) -> list[ReceivedNote]:
        there = [_received_note(note, source) for due, note in link if due <= slot]
        link[:] = [(due, note) for due, note in link if due > slot]
        rng.shuffle(there)
        return there

    for slot in range(200):
        received_notes, acks, _ = receiver.receive(arriving(up, 0, slot))
        taken += [received.body for received in received_notes]
        post(down, acks, slot)
        sender.receive(arriving(down, AT, slot))
        again = sender.resend(slot)
        post(up, again + sender.send([to_trainer(Kind.HISTORY, bytes([slot]))] if slot < 40 else [], slot), slot)
        if rng.random() < 0.1:
            sender, receiver = _restored(sender, 3), _restored(receiver)
    assert sorted(taken) == [bytes([slot]) for slot in range(40)]
    assert not sender.unacknowledged


class _Chatty(NodePolicy):
    """Sends a history in turn 1 of slot 0, and news in every turn."""

    def __init__(self, _: Welcome) -> None: ...

    def on_turn(self, turn: TurnContext) -> TurnOutput:
        history = [to_trainer(Kind.HISTORY, b"rows")] if (turn.slot, turn.turn) == (0, 1) else []
        return TurnOutput(notes=(*history, Note((1,), Kind.CSI, b"news")))


def _outbox(node: Node, slot: int, turn: int, inbox: list[ReceivedNote]) -> list[tuple[Kind, int]]:
    reply = node.turn(Turn(slot, turn, 0, 0, b"", b"", inbox))
    return [(note.kind, note.attempt) for note in reply.outbox]


def _chatty() -> Node:
    world = WORLD.build(D2DUnderlay(pairs=2), seed=1, replicas=1)
    return Node(structs.replace(welcome_for(world, scheme.SCHEME, 0), resend_after_slots=2), _Chatty)


def test_a_node_resends_in_its_first_turn_of_a_slot_after_acknowledgements_before_news() -> None:
    node = _chatty()
    news, again = (Kind.CSI, 1), (Kind.HISTORY, 2)
    assert _outbox(node, 0, 1, []) == [(Kind.HISTORY, 1), news]
    assert _outbox(node, 1, 0, []) == [news]
    weights = ReceivedNote(2, Kind.WEIGHTS, 2, 0, b"w", 1)
    assert _outbox(node, 2, 0, [weights]) == [(Kind.ACK, 1), again, news]
    assert _outbox(node, 2, 1, []) == [news]
    copy = _chatty()
    copy.restore(unpack(pack(node.snapshot())))
    assert _outbox(copy, 4, 1, []) == [(Kind.HISTORY, 3), news]
    assert _outbox(copy, 4, 2, []) == [news]
    closing = copy.turn(Turn(9, 0, CLOSING, 2, b"", b"", []))
    assert closing == Reply(9, 0, b"", [])  # an acknowledgement would reach nobody
    assert _outbox(copy, 10, 0, [ReceivedNote(2, Kind.ACK, 9, 0, b"", 1)]) == [news]
