"""Arrivals: Poisson, and a matter of position alone."""

import numpy as np

from channel_server.traffic.arrivals import PoissonArrivals


def test_the_same_position_has_the_same_arrivals_whatever_was_drawn_before() -> None:
    arrivals = PoissonArrivals(0.5, queues=8, replicas=4, seed=3)
    first = arrivals.at(17)
    arrivals.at(0)
    np.testing.assert_array_equal(arrivals.at(17), first)


def test_slots_and_seeds_differ() -> None:
    arrivals = PoissonArrivals(5.0, queues=8, replicas=4, seed=3)
    draws = [arrivals.at(0), arrivals.at(1), PoissonArrivals(5.0, 8, 4, seed=4).at(0)]
    assert len({draw.tobytes() for draw in draws}) == 3


def test_the_first_replicas_of_many_are_those_of_few() -> None:
    few, many = (PoissonArrivals(0.4, queues=8, replicas=e, seed=1).at(5) for e in (2, 16))
    np.testing.assert_array_equal(many[:2], few)


def test_mean_and_variance_are_the_load() -> None:
    load = np.array([0.3, 2.0])
    arrivals = PoissonArrivals(load, queues=2, replicas=200_000, seed=1).at(0)
    np.testing.assert_allclose(arrivals.mean(0), load, rtol=0.02)
    np.testing.assert_allclose(arrivals.var(0), load, rtol=0.02)
