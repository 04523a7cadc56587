"""First-in first-out queues of packets, served in bits, that keep when each packet arrived.

A packet's delay ends when its last bit is through (zhang2025 sec. II-C, eq. 15). All packets of a queue have one size.
Bits are whole numbers, so that what arrived is exactly what was sent plus what waits.

The slots of arrival stand in a ring per queue, so that the work of a slot does not grow with how long packets wait.
The rings grow by replacement: no packet is dropped.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Counts = npt.NDArray[np.int64]
Slots = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

_FIRST_CAPACITY = 16


@dataclass(frozen=True)
class PacketQueues:
    """Packets waiting in queues [E, n]. Made by `empty`.

    `slot`: slots begun. `arrived` [E n, capacity]: rings of arrival slots; `first` [E n]: where the oldest packet
    stands, unwrapped; `packets` [E, n]: how many wait; `sent_bits` [E, n]: what has gone of the oldest, less than its
    size `packet_bits` [n].
    """

    packet_bits: Counts
    slot: int
    arrived: Slots
    first: Counts
    packets: Counts
    sent_bits: Counts

    @classmethod
    def empty(cls, replicas: int, queues: int, packet_bits: int | Counts) -> "PacketQueues":
        """Empty queues [E, n]; `packet_bits`: the size of a packet, one for all queues or [n]."""
        none = np.zeros((replicas, queues), np.int64)
        rings = np.zeros((none.size, _FIRST_CAPACITY), np.int32)
        sizes = np.broadcast_to(np.asarray(packet_bits, np.int64), (queues,))
        return cls(sizes, 0, rings, np.zeros(none.size, np.int64), none, none)

    @cached_property
    def waiting_bits(self) -> Counts:
        """Bits that wait in each queue, [E, n]."""
        return self.packets * self.packet_bits - self.sent_bits

    @property
    def oldest_slots(self) -> Counts:
        """How long the oldest packet of each queue waits, [E, n]: 1 in the slot of its arrival, 0 if there is none."""
        capacity = self.arrived.shape[1]
        at = np.arange(len(self.first)), self.first % capacity
        waited = self.slot - self.arrived[at].reshape(self.packets.shape) + 1
        return np.where(self.packets > 0, waited, 0)

    def arrive(self, packets: Counts) -> "PacketQueues":
        """Begin a slot: `packets` [E, n] join."""
        total = self.packets + packets
        grown = self._with_room(int(total.max(initial=0)))
        rings = grown.arrived.copy()
        queue, place = _places((grown.first + self.packets.reshape(-1)), packets.reshape(-1))
        rings[queue, place % rings.shape[1]] = self.slot + 1
        return replace(grown, slot=self.slot + 1, arrived=rings, packets=total)

    def serve(self, bits: Counts) -> "Delivered":
        """Send up to `bits` [E, n] of each queue, oldest packet first; an empty queue wastes its service."""
        sent = np.minimum(bits, self.waiting_bits)
        through, rest = np.divmod(self.sent_bits + sent, self.packet_bits)
        done = through.reshape(-1)
        queue, place = _places(self.first, done)
        delays = self.slot - self.arrived[queue, place % self.arrived.shape[1]] + 1
        left = replace(self, first=self.first + done, packets=self.packets - through, sent_bits=rest)
        return Delivered(left, sent, through, queue, delays)

    def cleared(self, replicas: Flags) -> "PacketQueues":
        """Without the packets of the replicas [E] that start anew."""
        keep = ~replicas[:, None]
        return replace(self, packets=self.packets * keep, sent_bits=self.sent_bits * keep)

    def _with_room(self, packets: int) -> "PacketQueues":
        """These queues with rings for that many packets each."""
        capacity = self.arrived.shape[1]
        if packets <= capacity:
            return self
        places = self.first[:, None] + np.arange(capacity)  # oldest first
        ordered = np.take_along_axis(self.arrived, places % capacity, axis=1)
        larger = 2 ** (packets - 1).bit_length()
        rings = np.pad(ordered, ((0, 0), (0, larger - capacity)))
        return replace(self, arrived=rings, first=np.zeros_like(self.first))


class Delivered(NamedTuple):
    """The queues after service; the bits sent and the packets that were completed, [E, n].

    `queue` and `delays_slots` [packets completed]: each one's queue e n + i and delay, in order of queue, then of
    service. A packet completed in the slot of its arrival has a delay of one slot.
    """

    queues: PacketQueues
    bits: Counts
    packets: Counts
    queue: Counts
    delays_slots: Slots


def _places(first: Counts, counts: Counts) -> tuple[Counts, Counts]:
    """Queue and place of each of the `counts` [q] packets that stand from `first` [q] on in their queues."""
    queue = np.repeat(np.arange(len(counts)), counts)
    before = np.cumsum(counts) - counts  # packets of the queues before
    return queue, first[queue] + np.arange(len(queue)) - before[queue]
