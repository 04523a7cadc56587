"""Actions of gymnasium's spaces as records: every choice is a valid action, and every valid action can be chosen."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

gymnasium = pytest.importorskip("gymnasium", reason="the extra envs is not installed")

from airtoll.environments.spaces import action_records, action_space, bounds, numbers
from protocol.messages.spaces import Field, Space

RB = Field("rb", "i2", low=-1, high=4)
POWER = Field("power", "u1", low=0, high=255)
DEVICES = Field("device", "i1", (3,), low=0, high=2)
WATTS = Field("watts", "f4", (2,), low=0.0, high=0.2)
FREE = Field("free", "f8")
SPACES = [Space(fields) for fields in [(RB,), (RB, POWER), (DEVICES,), (WATTS,), (WATTS, FREE), (RB, WATTS), (FREE,)]]


@pytest.mark.parametrize("space", SPACES, ids=lambda space: "+".join(field.name for field in space.fields))
@given(seed=st.integers(0, 2**31))
def test_every_sample_is_an_action(space: Space, seed: int) -> None:
    gym = action_space(space)
    gym.seed(seed)
    records = action_records(space, gym.sample())
    assert records.dtype == space.dtype
    assert space.checker(1)(records.tobytes())


def test_a_discrete_choice_counts_from_the_lowest_value() -> None:
    assert action_space(Space((RB,))) == gymnasium.spaces.Discrete(6)
    assert [action_records(Space((RB,)), choice)["rb"][0] for choice in range(6)] == [-1, 0, 1, 2, 3, 4]


def test_several_integers_are_one_multi_discrete() -> None:
    assert action_space(Space((RB, POWER))) == gymnasium.spaces.MultiDiscrete([6, 256])
    records = action_records(Space((RB, POWER)), [0, 255])
    assert (records["rb"][0], records["power"][0]) == (-1, 255)


def test_replicas_are_the_leading_axis() -> None:
    records = action_records(Space((DEVICES,)), [[0, 1, 2], [2, 1, 0]], 2)
    assert records["device"].tolist() == [[0, 1, 2], [2, 1, 0]]
    assert action_records(Space((RB,)), np.array([1, 5]), 2)["rb"].tolist() == [0, 4]


@pytest.mark.parametrize(
    ("space", "action", "message"),
    [
        (Space((RB,)), 6, "rb .* choose integers 0 to 5"),
        (Space((RB,)), -1, "rb .* choose integers 0 to 5"),
        (Space((RB,)), 1.0, "rb .* choose integers 0 to 5"),
        (Space((POWER,)), 256, "power .* choose integers 0 to 255"),
        (Space((RB, POWER)), [1], "1 numbers does not fit: it has 2"),
        (Space((WATTS,)), [0.1, 0.3], "watts .* give 0.0 to 0.2"),
        (Space((FREE,)), [np.nan], "free .* give"),
        (Space((RB, WATTS)), {"rb": 9, "watts": [0, 0]}, "rb .* choose integers 0 to 5"),
    ],
)
def test_what_is_no_action_is_rejected_by_name(space: Space, action: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        action_records(space, action)


def test_integers_without_bounds_cannot_be_chosen() -> None:
    with pytest.raises(ValueError, match="the action field n has no bounds"):
        action_space(Space((Field("n", "i4"),)))


def test_a_measurement_is_a_row_of_numbers_field_by_field() -> None:
    space = Space((RB, WATTS, Field("on", "u1", (2, 2))))
    records = space.empty(2)
    records["rb"], records["watts"] = [3, -1], [[0.25, 0.5], [1, 2]]
    records["on"][1] = [[1, 2], [3, 4]]
    assert numbers(space, records).tolist() == [[3, 0.25, 0.5, 0, 0, 0, 0], [-1, 1, 2, 1, 2, 3, 4]]
    low, high = bounds(space)
    assert low.tolist() == [-1, 0, 0, *[-np.inf] * 4]
    assert high.tolist() == [4, np.float32(0.2), np.float32(0.2), *[np.inf] * 4]
