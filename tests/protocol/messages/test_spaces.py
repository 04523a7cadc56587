"""Spaces: records there and back, and what a checker lets through."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.messages.spaces import Field, Space

RB = Space((Field("rb", "i2", low=-1, high=9),))
DEVICES = Space((Field("device", "i1", (3,), low=0, high=2),))
WIDE = Space((Field("rb", "i2", low=0, high=30_000), Field("level", "i1", low=0, high=3)))


@given(st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=5))
def test_records_survive_the_wire(values: list[int]) -> None:
    records = RB.empty(len(values))
    records["rb"] = values
    decoded = RB.decode(records.tobytes())
    assert decoded["rb"].tolist() == values
    decoded["rb"] = 0  # fresh and writable


def test_encoding_is_little_endian_and_packed() -> None:
    space = Space((Field("a", "i1"), Field("b", "f4", (2,))))
    records = space.empty(1)
    records["a"], records["b"] = 1, [[1.0, -2.0]]
    assert records.tobytes() == b"\x01" + np.array([1, -2], "<f4").tobytes()


@pytest.mark.parametrize("space", [RB, DEVICES, WIDE])
@pytest.mark.parametrize("replicas", [1, 3, 40])
def test_checker_accepts_values_inside_the_space_and_no_others(space: Space, replicas: int) -> None:
    fits = space.checker(replicas)
    inside = space.empty(replicas)
    assert fits(inside.tobytes())
    assert not fits(inside.tobytes()[:-1])
    assert not fits(inside.tobytes() + b"\0")
    for field in space.fields:
        for outside in (field.low - 1, field.high + 1):  # type: ignore[operator]
            wrong = inside.copy()
            wrong[field.name][-1] = outside
            assert not fits(wrong.tobytes())


POWER = Space((Field("power_w", "f4", (2,), low=0.0, high=0.02), Field("rb", "i1", low=0, high=3)))
UNBOUNDED = Space((Field("step_db", "f8"),))


@pytest.mark.parametrize("replicas", [1, 3, 40])
def test_float_actions_are_finite_and_within_their_bounds(replicas: int) -> None:
    """The bounds of float32 fields are compared as float32, in which 0.02 is 0.0199999996."""
    fits = POWER.checker(replicas)
    action = POWER.empty(replicas)
    for inside in (0.0, 1e-30, 0.013, np.float32(0.02)):
        action["power_w"][-1, 1] = inside
        assert fits(action.tobytes())
    for outside in (-1e-30, 0.0200001, np.nan, np.inf, -np.inf):
        action["power_w"][-1, 1] = outside
        assert not fits(action.tobytes())


@pytest.mark.parametrize("replicas", [1, 3, 40])
def test_a_float_without_bounds_may_be_any_number_but_no_nan(replicas: int) -> None:
    fits = UNBOUNDED.checker(replicas)
    action = UNBOUNDED.empty(replicas)
    for value, good in ((-1e300, True), (0.0, True), (np.nan, False), (np.inf, False)):
        action["step_db"][-1] = value
        assert fits(action.tobytes()) == good


@given(st.integers(-3, 12))
def test_both_ways_of_checking_agree(rb: int) -> None:
    one, two = RB.empty(1), RB.empty(2)
    one["rb"], two["rb"] = rb, rb
    assert RB.checker(1)(one.tobytes()) == RB.checker(2)(two.tobytes()) == (-1 <= rb <= 9)
