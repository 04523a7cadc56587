"""The toll counted the long way round, straight from the rows of an air book: what every other sum must equal."""

from collections.abc import Callable, Iterable
from typing import TypeVar

from protocol.accounting.air_book import AirRow, AttemptOutcome
from protocol.accounting.toll import DeliveryStats, Toll

_K = TypeVar("_K")


def grouped(rows: Iterable[AirRow], key: Callable[[AirRow], _K]) -> dict[_K, list[AirRow]]:
    """Rows by a key of theirs."""
    groups: dict[_K, list[AirRow]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def plain_toll(rows: Iterable[AirRow]) -> Toll:
    """One column after the other."""
    rows = list(rows)
    return Toll(
        notes=len([row for row in rows if row.attempt == 1 and not row.copied]),
        payload_bits=sum(row.payload_bits for row in rows),
        note_bytes=sum(row.note_bytes for row in rows if row.attempt > 0),
        copies=sum(row.copies for row in rows),
        copy_bytes=sum(row.copies * row.note_bytes for row in rows),
    )


def plain_delivery(rows: Iterable[AirRow]) -> DeliveryStats:
    """Likewise."""
    rows = list(rows)
    ages = [row.until - row.slot for row in rows if row.copies > 0 and not row.repeated]
    return DeliveryStats(
        attempts=len([row for row in rows if row.attempt > 0]),
        lost=len([row for row in rows if row.outcome is AttemptOutcome.LOST]),
        arrived=len(ages),
        age_slots=sum(ages),
        max_age_slots=max(ages, default=0),
    )
