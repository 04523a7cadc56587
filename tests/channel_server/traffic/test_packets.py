"""Queues of packets against a plain queue of single bits' owners."""

from collections import deque

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from channel_server.traffic.packets import Counts, PacketQueues

SIZES = np.array([1, 7, 100])


def slots(replicas: int, queues: int) -> st.SearchStrategy[list[tuple[Counts, Counts]]]:
    """Packets that arrive and bits that are served, [E, n] each, of some slots."""
    arrivals = hnp.arrays(np.int64, (replicas, queues), elements=st.integers(0, 9))
    services = hnp.arrays(np.int64, (replicas, queues), elements=st.integers(0, 400))
    return st.lists(st.tuples(arrivals, services), min_size=1, max_size=30)


class PlainQueue:
    """One queue: [slot of arrival, bits left] per packet."""

    def __init__(self, size: int) -> None:
        self.size, self.waiting, self.delays = size, deque[list[int]](), list[int]()

    def play(self, slot: int, packets: int, bits: int) -> None:
        self.waiting.extend([slot, self.size] for _ in range(packets))
        while self.waiting and bits:
            sent = min(bits, self.waiting[0][1])
            bits -= sent
            self.waiting[0][1] -= sent
            if not self.waiting[0][1]:
                self.delays.append(slot - self.waiting.popleft()[0] + 1)


@given(slots(2, 3))
def test_delays_and_bits_are_those_of_a_plain_queue(played: list[tuple[Counts, Counts]]) -> None:
    queues = PacketQueues.empty(2, 3, SIZES)
    plain = [PlainQueue(int(size)) for size in np.tile(SIZES, 2)]
    delays: list[list[int]] = [[] for _ in plain]
    arrived_bits, sent_bits = np.zeros((2, 3), np.int64), np.zeros((2, 3), np.int64)
    for slot, (packets, bits) in enumerate(played):
        for each, arriving, served in zip(plain, packets.reshape(-1), bits.reshape(-1), strict=True):
            each.play(slot, int(arriving), int(served))
        queues, sent, through, queue, delays_slots = queues.arrive(packets).serve(bits)
        for q, delay in zip(queue.tolist(), delays_slots.tolist(), strict=True):
            delays[q].append(delay)
        assert np.bincount(queue, minlength=6).tolist() == through.reshape(-1).tolist()
        arrived_bits, sent_bits = arrived_bits + packets * SIZES, sent_bits + sent
        np.testing.assert_array_equal(arrived_bits, sent_bits + queues.waiting_bits)
        oldest = [slot - each.waiting[0][0] + 1 if each.waiting else 0 for each in plain]
        assert queues.oldest_slots.reshape(-1).tolist() == oldest
    assert delays == [each.delays for each in plain]
    left = [sum(bits for _, bits in each.waiting) for each in plain]
    assert queues.waiting_bits.reshape(-1).tolist() == left


def test_a_packet_is_through_with_its_last_bit() -> None:
    queues = PacketQueues.empty(1, 1, 10).arrive(np.array([[2]]))
    partly = queues.serve(np.array([[9]]))
    assert (partly.packets.item(), len(partly.delays_slots)) == (0, 0)
    rest = partly.queues.arrive(np.array([[0]])).serve(np.array([[10]]))
    assert (rest.packets.item(), rest.delays_slots.tolist(), rest.queues.waiting_bits.item()) == (1, [2], 1)


def test_an_overloaded_queue_loses_nothing() -> None:
    queues = PacketQueues.empty(1, 2, 10)
    for _ in range(300):
        queues = queues.arrive(np.array([[3, 0]])).serve(np.array([[10, 10]])).queues
    assert queues.packets.tolist() == [[600, 0]]
    last = queues.serve(np.array([[6000, 0]]))
    assert last.delays_slots.tolist() == [300 - slot for slot in range(100, 300) for _ in range(3)]


def test_many_packets_may_arrive_at_once() -> None:
    queues = PacketQueues.empty(1, 1, 10).arrive(np.array([[3]])).serve(np.array([[15]])).queues
    served = queues.arrive(np.array([[1000]])).serve(np.array([[10_000]]))
    assert served.delays_slots.tolist() == [2, 2] + [1] * 998
    assert served.queues.waiting_bits.item() == 15


def test_serving_and_arriving_leave_the_old_value_alone() -> None:
    full = PacketQueues.empty(1, 1, 10).arrive(np.array([[16]])).serve(np.array([[100]])).queues
    one, other = full.arrive(np.array([[10]])), full.arrive(np.array([[0]])).arrive(np.array([[10]]))
    assert one.serve(np.array([[160]])).delays_slots.tolist() == [2] * 6 + [1] * 10
    assert other.serve(np.array([[160]])).delays_slots.tolist() == [3] * 6 + [1] * 10
    assert full.serve(np.array([[60]])).delays_slots.tolist() == [1] * 6


def test_replicas_that_start_anew_are_empty_and_the_others_are_not() -> None:
    queues = PacketQueues.empty(2, 1, 10).arrive(np.array([[2], [2]])).serve(np.array([[5], [5]])).queues
    cleared = queues.cleared(np.array([True, False]))
    assert cleared.waiting_bits.tolist() == [[0], [15]]
    again = cleared.arrive(np.array([[1], [0]])).serve(np.array([[99], [99]]))
    assert (again.queue.tolist(), again.delays_slots.tolist()) == ([0, 1, 1], [1, 2, 2])
