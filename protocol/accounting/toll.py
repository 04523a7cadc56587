"""The toll: what a run's signalling costs, counted from the air book per source node, kind and link class.

A row of the air book counts in the window of slots, and so in the phase, in which its note was sent, also when its
outcome is booked slots later. Counts of one key are added, so that a window may be reported in several pieces.
"""

from msgspec import Struct

from protocol.accounting.air_book import AirRow, AttemptOutcome
from protocol.messages.kinds import Kind, LinkClass


class Toll(Struct, array_like=True):
    """Distinct notes; bits that the air was charged, of all attempts; bytes of all attempts; copies as delivered.

    Bits are those of one replica, bytes those of all.
    """

    notes: int = 0
    payload_bits: int = 0
    note_bytes: int = 0
    copies: int = 0
    copy_bytes: int = 0

    def book(self, row: AirRow) -> None:
        """Count one row of the air book."""
        copies, note_bytes = row.copies, row.note_bytes
        self.payload_bits += row.payload_bits
        if row.attempt:
            self.note_bytes += note_bytes
            if row.attempt == 1 and not row.copied:
                self.notes += 1
        if copies:
            self.copies += copies
            self.copy_bytes += copies * note_bytes

    def add(self, other: "Toll") -> None:
        """Count what another one has."""
        self.notes += other.notes
        self.payload_bits += other.payload_bits
        self.note_bytes += other.note_bytes
        self.copies += other.copies
        self.copy_bytes += other.copy_bytes


class DeliveryStats(Struct, array_like=True):
    """What became of notes under a signalling model: attempts, those of which a copy was lost, those that arrived, and
    the sum and the maximum of their ages on arrival, in slots since the note was sent."""

    attempts: int = 0
    lost: int = 0
    arrived: int = 0
    age_slots: int = 0
    max_age_slots: int = 0

    def book(self, row: AirRow) -> None:
        """Count one row of the air book. What the relay repeats by itself has no age of its own."""
        self.attempts += row.attempt > 0
        if row.outcome is AttemptOutcome.LOST:
            self.lost += 1
        if row.copies > 0 and not row.repeated:
            self.arrived += 1
            if age := row.until - row.slot:  # 0 for most
                self.age_slots += age
                self.max_age_slots = max(self.max_age_slots, age)

    def add(self, other: "DeliveryStats") -> None:
        """Count what another one has."""
        self.attempts += other.attempts
        self.lost += other.lost
        self.arrived += other.arrived
        self.age_slots += other.age_slots
        self.max_age_slots = max(self.max_age_slots, other.max_age_slots)

    @property
    def mean_age_slots(self) -> float | None:
        """None where nothing arrived."""
        return self.age_slots / self.arrived if self.arrived else None


class TollRow(Struct, array_like=True):
    """The counts of the notes of one kind that one node sent over one link class."""

    source: int
    kind: Kind
    link: LinkClass
    toll: Toll
    delivery: DeliveryStats
