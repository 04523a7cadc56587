"""The ideal relay against a plain list: every note is delivered once, in order, and booked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channel_server.relay import Relay
from channel_server.routes import Routes
from protocol.accounting.air_book import AttemptOutcome
from protocol.messages.kinds import NEIGHBOURS, TRAINER, CloudLink, Kind, LinkClass
from protocol.messages.node import Note, ReceivedNote
from protocol.messages.signalling import SignallingPlan

AGENTS = 4
NEIGHBOURHOODS = ((1, 2), (0,), (0, 3), ())
NODES = [*range(AGENTS), AGENTS]


def _relay(link: LinkClass, *, has_trainer: bool, cloud: CloudLink = "radio") -> Relay:
    routes = Routes(AGENTS, link, cloud, has_trainer=has_trainer)
    return Relay(routes, SignallingPlan(), seed=1, replicas=1, radio_bits=lambda *_: 0.0)


destinations = st.just((NEIGHBOURS,)) | st.just((TRAINER,)) | st.sets(st.sampled_from(NODES), min_size=1).map(tuple)
sequences = st.none() | st.integers(0, 2**32 - 1)
sent = st.tuples(st.sampled_from(range(AGENTS)), destinations, st.sampled_from(Kind), st.binary(max_size=9), sequences)
collected = st.sampled_from(NODES)


def _resolved(to: tuple[int, ...], source: int) -> tuple[int, ...]:
    return NEIGHBOURHOODS[source] if to == (NEIGHBOURS,) else (AGENTS,) if to == (TRAINER,) else to


@given(st.lists(sent | collected, max_size=40), st.sets(st.sampled_from(NODES)))
def test_it_equals_a_list_of_notes(happened: list, gone: set[int]) -> None:  # type: ignore[type-arg]
    relay = _relay(LinkClass.BACKHAUL, has_trainer=True)
    pending: dict[int, list[ReceivedNote]] = {node: [] for node in NODES}
    attempts = []
    for turn, happening in enumerate(happened):
        if isinstance(happening, int):
            assert relay.collect(happening) == pending[happening]
            pending[happening] = []
            continue
        source, to, kind, body, sequence = happening
        relay.post(
            0, turn, source, [Note(to, kind, body, sequence=sequence)], gone=gone, neighbours=lambda: NEIGHBOURHOODS
        )
        receivers = _resolved(to, source)
        for node in receivers:
            if node not in gone:
                pending[node].append(ReceivedNote(source, kind, 0, turn, body, sequence))
        size = len(body) + (0 if sequence is None else 4)
        on_wires = AGENTS not in receivers
        for i, wire in enumerate([(node,) for node in receivers] if on_wires and receivers else [receivers]):
            copies = len([node for node in wire if node not in gone])
            bits = 8 * size if wire or not on_wires else 0
            attempts.append((turn, source, wire, size, bits, copies, i > 0))
    rows = relay.drain_rows()
    assert [(r.turn, r.source, r.to, r.note_bytes, r.payload_bits, r.copies, r.copied) for r in rows] == attempts
    assert all((row.outcome is AttemptOutcome.DELIVERED) == (row.copies == len(row.to)) for row in rows)
    for node in NODES:
        assert relay.collect(node) == pending[node]
        assert relay.collect(node) == []


@pytest.mark.parametrize(
    ("source", "to", "cloud", "link"),
    [
        (0, (1,), "radio", LinkClass.SIDELINK),
        (0, (1,), "backhaul", LinkClass.SIDELINK),
        (0, (TRAINER,), "radio", LinkClass.UPLINK),
        (0, (TRAINER,), "backhaul", LinkClass.BACKHAUL),
        (AGENTS, (0,), "radio", LinkClass.DOWNLINK),
        (AGENTS, (0,), "backhaul", LinkClass.BACKHAUL),
        (AGENTS + 1, (0,), "radio", LinkClass.DOWNLINK),
        (AGENTS + 1, (0,), "backhaul", LinkClass.BACKHAUL),
    ],
)
def test_links_follow_from_source_and_destination(
    source: int, to: tuple[int, ...], cloud: CloudLink, link: LinkClass
) -> None:
    relay = _relay(LinkClass.SIDELINK, has_trainer=True, cloud=cloud)
    relay.post(0, 0, source, [Note(to, Kind.CONTROL, b"x")], gone=(), neighbours=lambda: NEIGHBOURHOODS)
    relay.post(0, 0, source, [Note(to, Kind.CONTROL, b"x", 3, LinkClass.BACKHAUL)], gone=(), neighbours=lambda: ())
    ours, chosen = relay.drain_rows()
    assert (ours.link, ours.payload_bits) == (link, 8)
    assert (chosen.link, chosen.payload_bits) == (LinkClass.BACKHAUL, 3)


@pytest.mark.parametrize(
    ("to", "reason"),
    [
        ((1, 9), "to an unknown destination"),
        ((0,), "to an unknown destination"),
        ((), "to an unknown destination"),
        ((1, 1), "to an unknown destination"),
        ((NEIGHBOURS, 2), "to an unknown destination"),
        ((TRAINER, 1), "to an unknown destination"),
        ((TRAINER,), "to the trainer"),
    ],
)
def test_notes_to_an_unknown_destination_are_faults(to: tuple[int, ...], reason: str) -> None:
    relay = _relay(LinkClass.SIDELINK, has_trainer=False)
    assert reason in relay.routes.fault(0, [Note(to, Kind.CONTROL, b"")])
    assert relay.routes.fault(0, [Note((NEIGHBOURS,), Kind.CONTROL, b"")]) == ""


def test_notes_in_flight_survive_a_snapshot() -> None:
    relay, other = (_relay(LinkClass.SIDELINK, has_trainer=False) for _ in range(2))
    relay.post(3, 1, 0, [Note((1, 2), Kind.CSI, b"abc")], gone=(), neighbours=lambda: ())
    other.restore(relay.snapshot())
    assert other.collect(1) == [ReceivedNote(0, Kind.CSI, 3, 1, b"abc")]
    assert other.collect(2) == relay.collect(2)


def test_what_was_collected_does_not_grow_when_notes_arrive_later() -> None:
    relay = _relay(LinkClass.BACKHAUL, has_trainer=True)
    nothing = relay.collect(1)
    relay.post(0, 0, 0, [Note((1,), Kind.CSI, b"abc")], gone=set(), neighbours=lambda: NEIGHBOURHOODS)
    assert nothing == []
    assert len(relay.collect(1)) == 1
