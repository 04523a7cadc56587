"""Charges of notes that some replicas send add up to the share of one, to less than a bit."""

from hypothesis import given
from hypothesis import strategies as st

from schemes.parts.replica_charge import ReplicaCharge


@given(st.integers(1, 64), st.lists(st.integers(0, 500)))
def test_no_bit_is_lost_or_charged_twice(replicas: int, bits: list[int]) -> None:
    charge = ReplicaCharge(replicas)
    charged = sum(map(charge.of, bits))
    assert 0 <= sum(bits) - replicas * charged == charge.remainder < replicas


@given(st.lists(st.integers(0, 500)))
def test_of_one_replica_every_note_is_charged_as_it_is(bits: list[int]) -> None:
    assert list(map(ReplicaCharge(1).of, bits)) == bits
