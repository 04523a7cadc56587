"""The counts of the toll, row by row and added up."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from protocol.accounting.air_book import AirRow, AttemptOutcome
from protocol.accounting.toll import DeliveryStats, Toll
from protocol.messages.kinds import Kind, LinkClass
from tests.airtoll.folders import air
from tests.plain_toll import plain_delivery, plain_toll

few = st.integers(0, 3)
rows = st.builds(
    AirRow,
    *(few, few, few, st.just((1, 2)), st.sampled_from(LinkClass), st.sampled_from(Kind)),
    *(
        few,
        st.sampled_from(AttemptOutcome),
        st.integers(0, 99),
        st.integers(0, 99),
        st.integers(-1, 2),
        st.integers(3, 9),
    ),
    st.booleans(),
)


@given(st.lists(rows), st.integers(0, 9))
def test_rows_are_counted_one_by_one_and_in_parts(booked: list[AirRow], cut: int) -> None:
    toll, delivery = Toll(), DeliveryStats()
    for part in (booked[:cut], booked[cut:]):
        part_toll, part_delivery = Toll(), DeliveryStats()
        for row in part:
            part_toll.book(row)
            part_delivery.book(row)
        toll.add(part_toll)
        delivery.add(part_delivery)
    assert toll == plain_toll(booked)
    assert delivery == plain_delivery(booked)


def test_a_resend_is_no_new_note_and_a_correction_no_attempt() -> None:
    booked = [
        structs.replace(air(0, Kind.CSI), until=3),
        structs.replace(air(2, Kind.CSI, attempt=2, copies=1), until=1, outcome=AttemptOutcome.LOST),
        structs.replace(air(0, Kind.CSI, copies=0), until=9, outcome=AttemptOutcome.LOST),
        structs.replace(air(0, Kind.CSI, attempt=2), until=9, repeated=True),
        structs.replace(air(0, Kind.CSI, attempt=0, bits=0, copies=-1), until=9, outcome=AttemptOutcome.UNREAD),
    ]
    toll, delivery = Toll(), DeliveryStats()
    for row in booked:
        toll.book(row)
        delivery.book(row)
    assert toll == Toll(notes=2, payload_bits=4 * 36, note_bytes=4 * 5, copies=4, copy_bytes=4 * 5)
    assert delivery == DeliveryStats(attempts=4, lost=2, arrived=2, age_slots=4, max_age_slots=3)
    assert delivery.mean_age_slots == 2.0


def test_without_arrivals_there_is_no_age() -> None:
    assert DeliveryStats(attempts=3, lost=3).mean_age_slots is None
