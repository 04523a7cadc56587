"""Dividing items among bins, against all divisions."""

import numpy as np
import pytest

from schemes.parts.solvers.exhaustive import search
from schemes.parts.solvers.interference import Floats, Indices
from schemes.parts.solvers.partition import MAX_ITEMS, OUT, divide, members


def values_of(rng: np.random.Generator, *, replicas: int, bins: int, items: int) -> Floats:
    values = rng.normal(0.0, 1.0, (replicas, bins, 2**items))
    values[:, :, 0] = 0.0
    return values


@pytest.mark.parametrize(("bins", "items"), [(1, 4), (2, 5), (3, 4), (4, 3)])
def test_it_finds_the_best_of_all_divisions(bins: int, items: int) -> None:
    values = values_of(np.random.default_rng(bins), replicas=3, bins=bins, items=items)

    def total(choices: Indices) -> Floats:  # [1, C, N], the last choice leaves an item out
        in_bin = choices[..., None] == np.arange(bins)  # [1, C, N, K]
        number = (in_bin << np.arange(items)[:, None]).sum(axis=2)  # [1, C, K]
        return np.asarray(sum(values[:, k][:, number[0, :, k]] for k in range(bins)))

    best, found = search(total, [bins + 1] * items), divide(values)
    assert found.value == pytest.approx(best.value)
    assert np.where(found.choices == OUT, bins, found.choices).tolist() == best.choices.tolist()


def test_what_adds_nothing_is_left_out() -> None:
    values = -np.ones((2, 3, 2**3))
    values[:, :, 0] = 0.0
    found = divide(values)
    assert (found.choices == OUT).all()
    assert found.value.tolist() == [0.0, 0.0]


def test_sets_have_their_bits_as_members() -> None:
    assert members(3)[0b101].tolist() == [1.0, 0.0, 1.0]
    assert members(3)[0].tolist() == [0.0, 0.0, 0.0]


def test_too_many_items_are_rejected() -> None:
    with pytest.raises(ValueError, match=f"{MAX_ITEMS + 1} items are too many"):
        divide(np.zeros((1, 1, 2 ** (MAX_ITEMS + 1))))
