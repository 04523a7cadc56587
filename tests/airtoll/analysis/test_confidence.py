"""Student's interval, against printed tables and calculations by hand."""

import math

import pytest

from airtoll.analysis.confidence import mean_of, student_t


@pytest.mark.parametrize(
    ("freedom", "printed"),
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (5, 2.571), (9, 2.262), (10, 2.228), (29, 2.045), (100, 1.984)],
)
def test_quantiles_equal_the_printed_ones(freedom: int, printed: float) -> None:
    assert round(student_t(0.95, freedom), 3) == printed


def test_other_levels() -> None:
    assert round(student_t(0.99, 4), 3) == 4.604
    assert math.isclose(student_t(0.5, 1), 1.0)  # Cauchy's quartiles


def test_a_mean_has_students_interval() -> None:
    five = mean_of([1.0, 2.0, 3.0, 4.0, 5.0])  # s^2 = 10 / 4
    assert (five.value, five.seeds) == (3.0, 5)
    assert math.isclose(five.half, 2.776445 * math.sqrt(2.5 / 5), rel_tol=1e-6)
    assert mean_of([2.0, 2.0]).half == 0.0


def test_one_value_has_no_interval() -> None:
    one = mean_of([7.0])
    assert (one.value, one.seeds, math.isnan(one.half)) == (7.0, 1, True)
