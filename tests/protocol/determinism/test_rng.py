"""Randomness as a position."""

from itertools import product
from zlib import crc32

import numpy as np

from protocol.determinism.rng import CounterRng


def test_a_position_gives_the_same_numbers_whenever_it_is_asked() -> None:
    rng = CounterRng(7, "fading", 3)
    first = rng.at(20, 2).random(5)
    rng.at(19).random(1000)
    assert (rng.at(20, 2).random(5) == first).all()


def test_positions_keys_and_purposes_do_not_share_numbers() -> None:
    draws = [
        CounterRng(seed, purpose, node).at(slot, turn).integers(2**63)
        for seed, purpose, node, slot, turn in product((0, 1), ("fading", "drop"), (0, 1), (0, 1), (0, 1))
    ]
    assert len(set(draws)) == 32


def test_a_long_draw_does_not_run_into_the_next_turn() -> None:
    rng = CounterRng(1, "fading")
    long = set(rng.at(0, 0).integers(2**63, size=100_000).tolist())
    assert not long & set(rng.at(0, 1).integers(2**63, size=1000).tolist())


def test_a_moved_generator_draws_what_a_fresh_one_draws() -> None:
    rng = CounterRng(3, "signalling", 5)
    moved = rng.at(0)
    moved.integers(0, 100, 3, np.uint32)
    for position in [(7, 2), (2**40, 0), (0, 1)]:
        rng.move(moved, *position)
        assert np.array_equal(moved.random(9), rng.at(*position).random(9))


def test_a_position_is_that_of_numpy_s_philox() -> None:
    key = np.array([3, crc32(b"signalling") << 32 | 5], np.uint64)
    of_numpy = np.random.Generator(np.random.Philox(key=key, counter=np.array([0, 2, 7, 0], np.uint64)))
    assert np.array_equal(CounterRng(3, "signalling", 5).at(7, 2).random(9), of_numpy.random(9))
