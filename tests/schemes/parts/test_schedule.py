"""Schedules against their formulas."""

import pytest

from schemes.parts.schedule import Schedule, constant


def test_linear_from_start_to_end_then_constant() -> None:
    schedule = Schedule(1.0, 0.02, until=0.8)
    assert [schedule.at(x) for x in (0, 0.4, 0.8, 1)] == pytest.approx([1.0, 0.51, 0.02, 0.02])


def test_exponential_has_equal_ratios() -> None:
    schedule = Schedule(1.0, 0.01, shape="exponential")
    assert [schedule.at(x) for x in (0, 0.5, 1)] == pytest.approx([1.0, 0.1, 0.01])
    assert Schedule(0.1, 1.0, 0.5, "exponential").at(0.25) == pytest.approx(0.1**0.5)


def test_constant() -> None:
    assert constant(0.3).at(0) == constant(0.3).at(1) == 0.3


def test_an_exponential_to_zero_is_rejected() -> None:
    with pytest.raises(ValueError, match="both must be positive"):
        Schedule(1.0, 0.0, shape="exponential")
