"""Exhaustive, greedy, and branch and bound on one problem: links choose channels, or silence."""

from collections.abc import Callable
from functools import cached_property
from itertools import product
from math import log2
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemes.li2020.placement import Gains
from schemes.li2020.placement import place as place_pairs
from schemes.parts.solvers import branch_and_bound, exhaustive, greedy
from schemes.parts.solvers.branch_and_bound import Assignment, Node
from schemes.parts.solvers.interference import Floats, Indices

SEEDS = st.integers(0, 2**31)


def value(gains: Any, choices: tuple[int, ...]) -> float:
    """Sum rate of one replica: gains [K, L, L] over noise, a channel or -1 for each link."""
    total = 0.0
    for rx, k in enumerate(choices):
        if k >= 0:
            others = sum(gains[k][tx][rx] for tx, other in enumerate(choices) if other == k and tx != rx)
            total += log2(1 + gains[k][rx][rx] / (1 + others))
    return total


def objective(gains: Floats) -> Callable[[Indices], Floats]:
    """The same for gains [E, K, L, L] and candidates [E or 1, C, L]."""

    def values(choices: Indices) -> Floats:
        k = np.arange(gains.shape[1])
        on = (choices[..., None, :] == k[:, None]).astype(float)  # [E, C, K, L]
        own = np.diagonal(gains, axis1=2, axis2=3)[:, None]  # [E, 1, K, L]
        total = 1 + np.einsum("...ckt,...ktr->...ckr", on, gains)
        return np.asarray((on * np.log2(total / (total - on * own))).sum(axis=(2, 3)))

    return values


def gains(seed: int, *shape: int) -> Floats:
    rng = np.random.default_rng(seed)
    return 10 ** rng.uniform(-1.5, 1.0, (*shape, shape[-1])) * (1 + 9 * np.eye(shape[-1]))


@given(SEEDS, st.integers(1, 4), st.integers(1, 3), st.sampled_from([1, 5, 4096]))
def test_exhaustive_search_is_a_product_of_all_choices(seed: int, n: int, k: int, block: int) -> None:
    each = gains(seed, 2, k, n)
    found = exhaustive.search(objective(each), [k] * n, block=block)
    for e in range(2):
        best = max(product(range(k), repeat=n), key=lambda choices: value(each[e].tolist(), choices))
        assert tuple(found.choices[e].tolist()) == best
        assert found.value[e] == pytest.approx(value(each[e].tolist(), best))


def test_the_first_of_equals_is_taken_and_blocks_are_bounded() -> None:
    sizes = []

    def flat(choices: Indices) -> Floats:
        sizes.append(choices.shape)
        return np.zeros((3, choices.shape[1]))

    assert exhaustive.search(flat, [2, 3, 2], block=5).choices.tolist() == [[0, 0, 0]] * 3
    assert sizes == [(1, 5, 3), (1, 5, 3), (1, 2, 3)]


def test_a_variable_without_choices_is_refused() -> None:
    with pytest.raises(ValueError, match="without choices"):
        exhaustive.search(lambda choices: np.zeros((1, choices.shape[1])), [2, 0])


def greedy_by_hand(gains: Any, n: int, k: int) -> list[int]:
    chosen = [-1] * n
    while True:
        tries = [[c if i == variable else old for i, old in enumerate(chosen)]
                 for variable in range(n) if chosen[variable] < 0 for c in range(k)]  # fmt: skip
        best = max(tries, key=lambda each: value(gains, tuple(each)), default=chosen)
        if value(gains, tuple(best)) <= value(gains, tuple(chosen)):
            return chosen
        chosen = best


@given(SEEDS, st.integers(1, 5), st.integers(1, 3))
def test_greedy_placement_is_that_of_a_loop(seed: int, n: int, k: int) -> None:
    each = gains(seed, 3, k, n)
    found = greedy.place(objective(each), replicas=3, variables=n, n_choices=k)
    for e in range(3):
        assert found.choices[e].tolist() == greedy_by_hand(each[e].tolist(), n, k)
        assert found.value[e] == pytest.approx(value(each[e].tolist(), tuple(found.choices[e].tolist())))


def test_greedy_placement_is_that_of_the_central_scheduler_of_d2d_pairs() -> None:
    each, silent = gains(4, 8, 3, 6), np.zeros((8, 3, 6))
    cell = Gains(each, silent, silent, np.ones((8, 3)), cue_threshold=0.0, negative_reward=-1.0)  # no CUE in the way
    found = greedy.place(objective(each), replicas=8, variables=6, n_choices=3)
    np.testing.assert_array_equal(found.choices, place_pairs(cell))
    assert len(np.unique(found.choices)) == 4  # some are left silent


class ChannelChoice:
    """Every link takes a channel; of a partial choice, links without a channel are bounded by their best alone."""

    def __init__(self, gains: Floats, penalty: float = 0.0) -> None:
        self._gains = gains.tolist()
        self._best_alone = [log2(1 + each) for each in np.diagonal(gains, axis1=1, axis2=2).max(axis=0)]
        self._penalty = penalty
        self.bounded: list[Assignment] = []

    @cached_property
    def n_choices(self) -> tuple[int, ...]:
        return (len(self._gains),) * len(self._best_alone)

    def bound(self, assignment: Assignment) -> float:
        self.bounded.append(assignment)
        return value(self._gains, assignment) + sum(self._best_alone[len(assignment) :]) - self._penalty


@given(SEEDS, st.integers(1, 5), st.integers(1, 3))
def test_branch_and_bound_finds_the_optimum(seed: int, n: int, k: int) -> None:
    each = gains(seed, 1, k, n)
    problem = ChannelChoice(each[0])
    found = branch_and_bound.solve(problem)
    best = exhaustive.search(objective(each), [k] * n)
    assert found.value == pytest.approx(best.value[0], rel=1e-12)
    assert found.assignment is not None
    assert value(each[0].tolist(), found.assignment) == pytest.approx(found.value)
    assert found.visited == 1 + len(problem.bounded)
    assert len(set(problem.bounded)) == len(problem.bounded)


def test_branch_and_bound_visits_less_than_the_tree_and_less_with_a_policy() -> None:
    each = gains(3, 1, 3, 7)
    tree = sum(3**depth for depth in range(8))
    found = branch_and_bound.solve(ChannelChoice(each[0]))
    assert found.visited < tree / 2
    asked: list[Node] = []

    def greedy_policy(node: Node) -> bool:
        asked.append(node)
        return node.bound < 1.02 * node.incumbent

    pruned = branch_and_bound.solve(ChannelChoice(each[0]), greedy_policy)
    assert pruned.visited < found.visited
    assert 0.9 * found.value < pruned.value <= found.value
    assert all(node.bound > node.incumbent and 0 < len(node.assignment) < 7 for node in asked)


def test_a_policy_that_knows_the_optimum_goes_straight_to_it() -> None:
    each = gains(5, 1, 3, 5)
    best = branch_and_bound.solve(ChannelChoice(each[0]))
    assert best.assignment is not None
    path = best.assignment
    oracle = branch_and_bound.solve(
        ChannelChoice(each[0]), lambda node: node.assignment != path[: len(node.assignment)]
    )
    assert oracle == (path, best.value, 1 + 5 * 3)


def test_nothing_is_found_where_all_is_pruned_or_infeasible() -> None:
    feasible, infeasible = (ChannelChoice(gains(5, 1, 2, 3)[0], penalty) for penalty in (0.0, np.inf))
    assert branch_and_bound.solve(feasible, lambda _: True) == (None, -np.inf, 3)
    assert branch_and_bound.solve(infeasible) == (None, -np.inf, 3)
