"""The toll of a run per window of slots, summed from the rows of the air book as they come."""

from bisect import bisect_right
from collections.abc import Iterable
from itertools import accumulate, groupby
from typing import Any

from msgspec import convert, to_builtins

from protocol.accounting.air_book import AirRow
from protocol.accounting.toll import DeliveryStats, Toll, TollRow
from protocol.messages.plan import RunPlan
from protocol.messages.telemetry import TollWindow


class TollWindows:
    """Sums of the windows for which rows have come since the last `close`, by first slot.

    The windows are those of the metrics: `plan.record.window_slots` long, cut where a phase ends.
    """

    def __init__(self, plan: RunPlan) -> None:
        played = [phase for phase in plan.phases if phase.slots]
        phases = [(name, sum(p.slots for p in parts)) for name, parts in groupby(played, key=lambda p: p.name)]
        self._names = [name for name, _ in phases]
        self._ends = list(accumulate(slots for _, slots in phases))
        self._length = plan.record.window_slots
        self._open: dict[int, dict[tuple[int, int, int], TollRow]] = {}

    def add(self, rows: Iterable[AirRow], *, last: int) -> None:
        """Count rows. `last`: the run's last slot so far; a note of the closing turn, sent after it, counts in it."""
        first = after = -1
        sums: dict[tuple[int, int, int], TollRow] = {}
        for row in rows:
            if not first <= row.slot < after:  # mostly the rows of one slot come together
                _, first, after = self._window(min(row.slot, last))
                sums = self._open.setdefault(first, {})
            key = (row.source, row.kind, row.link)
            counts = sums.get(key)
            if counts is None:
                counts = sums[key] = TollRow(row.source, row.kind, row.link, Toll(), DeliveryStats())
            counts.toll.book(row)
            counts.delivery.book(row)

    def close(self, *, last: int) -> list[TollWindow]:
        """The windows with rows since the last call, in order. The window of the slot `last` ends there."""
        windows = []
        for first, sums in sorted(self._open.items()):
            phase, _, after = self._window(first)
            rows = [sums[key] for key in sorted(sums)]
            windows.append(TollWindow(phase, first, min(after - 1, last), rows))
        self._open.clear()
        return windows

    def snapshot(self) -> list[Any]:
        """The sums so far."""
        return [[first, to_builtins(list(sums.values()))] for first, sums in self._open.items()]

    def restore(self, data: list[Any]) -> None:
        """The inverse of `snapshot`."""
        self._open = {
            first: {(row.source, row.kind, row.link): row for row in convert(rows, list[TollRow])}
            for first, rows in data
        }

    def _window(self, slot: int) -> tuple[str, int, int]:
        """The phase of a slot's window, its first slot, and the slot after its last."""
        phase = bisect_right(self._ends, slot)
        begin = self._ends[phase - 1] if phase else 0
        first = slot - slot % self._length
        return self._names[phase], max(begin, first), min(self._ends[phase], first + self._length)
