"""Queues against a plain list of arrival slots."""

from collections import deque

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from channel_server.traffic.queues import Queues, Tasks

TASKS = st.integers(0, 5)


def slots_of_tasks(replicas: int, queues: int) -> st.SearchStrategy[Tasks]:
    """Arrivals and services of some slots, [slots, 2, E, n]."""
    shapes = st.integers(1, 30).map(lambda slots: (slots, 2, replicas, queues))
    return shapes.flatmap(lambda shape: hnp.arrays(np.int64, shape, elements=TASKS))


def play(slots: Tasks) -> tuple[list[list[int]], Queues]:
    """Delays of the served tasks per queue (of the one replica, in order of service), and what is left."""
    queues = Queues.empty(*slots.shape[2:])
    delays: list[list[int]] = [[] for _ in range(slots.shape[3])]
    for arrived, service in slots:
        queues, by_delay = queues.arrive(arrived).serve(service)
        for n, seen in enumerate(delays):
            ages = np.repeat(np.arange(by_delay.shape[-1]), by_delay[0, n])
            seen.extend(int(age) + 1 for age in ages[::-1])
    return delays, queues


@given(slots_of_tasks(1, 3))
def test_delays_are_those_of_a_plain_queue(slots: Tasks) -> None:
    delays, queues = play(slots)
    for n in range(3):
        waiting: deque[int] = deque()
        expected = []
        for t, (arrived, service) in enumerate(slots[:, :, 0, n]):
            waiting.extend([t] * int(arrived))
            expected += [t - waiting.popleft() + 1 for _ in range(min(int(service), len(waiting)))]
        assert delays[n] == expected
        assert queues.lengths[0, n] == len(waiting)


@given(slots_of_tasks(2, 3))
def test_no_task_is_lost(slots: Tasks) -> None:
    queues, served = Queues.empty(2, 3), np.zeros((2, 3), np.int64)
    for arrived, service in slots:
        queues, by_delay = queues.arrive(arrived).serve(service)
        served += by_delay.sum(-1)
        assert (queues.by_age >= 0).all()
    np.testing.assert_array_equal(served + queues.lengths, slots[:, 0].sum(0))


@given(slots_of_tasks(3, 2))
def test_batched_is_each_replica_by_itself(slots: Tasks) -> None:
    _, together = play(slots)
    for e in range(3):
        _, alone = play(slots[:, :, e : e + 1])
        ages = alone.by_age.shape[-1]
        np.testing.assert_array_equal(together.by_age[e, :, :ages], alone.by_age[0])


def test_an_unserved_task_waits_without_bound() -> None:
    queues = Queues.empty(1, 1).arrive(np.array([[1]]))
    for _ in range(1000):
        queues = queues.arrive(np.array([[0]]))
    left, by_delay = queues.serve(np.array([[1]]))
    assert np.flatnonzero(by_delay[0, 0]).tolist() == [1000]
    assert left.lengths.item() == 0


def test_service_in_the_slot_of_arrival_is_a_delay_of_one() -> None:
    served = Queues.empty(1, 1).arrive(np.array([[2]])).serve(np.array([[3]]))
    assert served.by_delay[0, 0, 0] == 2


def test_serving_leaves_the_old_value_alone() -> None:
    queues = Queues.empty(1, 1).arrive(np.array([[2]]))
    queues.serve(np.array([[1]]))
    assert queues.lengths.item() == 2
