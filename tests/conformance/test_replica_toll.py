"""The toll of a run is that of one replica, however many are stepped in the same messages."""

from collections import Counter

import pytest

from protocol.accounting.air_book import AirRow
from protocol.messages.kinds import Kind, LinkClass
from tests.conformance.homes import home_plan, homes
from tests.recording import in_process

_OF_CHANCE = 0.2  # how far the tolls of two runs of so few slots may lie apart, where chance decides who sends


@homes
def test_eight_replicas_are_charged_as_one(scheme: str, world: str) -> None:
    """Bit for bit of every kind, over every class of links, also of the infrastructure's notes. Where replicas send
    different notes, the toll is their mean."""
    one, eight = (_toll(in_process(home_plan(scheme, world, slots=100, replicas=n)).air) for n in (1, 8))
    assert one.keys() == eight.keys()
    for key, (notes, bits) in one.items():
        if eight[key][0] == notes:
            assert eight[key][1] == bits
        else:
            assert eight[key][1] == pytest.approx(bits, rel=_OF_CHANCE)


def _toll(air: list[AirRow]) -> dict[tuple[Kind, LinkClass], tuple[int, int]]:
    """Notes and bits, by kind and class of links."""
    notes, bits = Counter[tuple[Kind, LinkClass]](), Counter[tuple[Kind, LinkClass]]()
    for row in air:
        notes[row.kind, row.link] += row.crossed_socket or row.repeated
        bits[row.kind, row.link] += row.payload_bits
    return {key: (notes[key], bits[key]) for key in notes}
