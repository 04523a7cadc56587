"""How often each value of a world's distributions has occurred, phase by phase."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from channel_server.worlds.contract import Distribution
from protocol.messages.telemetry import Occurrences

Counts = npt.NDArray[np.int64]


class OpenDistributions:
    """The counts of the phase that is being played."""

    def __init__(self, distributions: Sequence[Distribution]) -> None:
        self._distributions = distributions
        self._first: tuple[str, int] | None = None
        self._counts = self._nothing()

    def add(self, phase: str, slot: int, occurrences: tuple[Counts, ...]) -> None:
        """Count a slot's values: of each distribution how often each occurred, [values]."""
        if self._first is None:
            self._first = (phase, slot)
        self._counts = [_sum(*pair) for pair in zip(self._counts, occurrences, strict=True)]

    def close(self, last: int) -> list[Occurrences]:
        """The phase's counts up to the slot `last`, if it has any; the next one begins."""
        if self._first is None:
            return []
        counted = zip(self._distributions, self._counts, strict=True)
        closed = [Occurrences(*self._first, last, each.name, each.step, counts.tolist()) for each, counts in counted]
        self._first, self._counts = None, self._nothing()
        return closed

    def snapshot(self) -> dict[str, Any]:
        """The counts so far."""
        return {"first": self._first, "counts": list(self._counts)}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self._first = None if data["first"] is None else tuple(data["first"])
        self._counts = list(data["counts"])

    def _nothing(self) -> list[Counts]:
        return [np.zeros(0, np.int64) for _ in self._distributions]


def _sum(counts: Counts, more: Counts) -> Counts:
    """Sum of arrays of different lengths; the shorter one has zeros after its end."""
    longer, shorter = (counts, more) if len(counts) >= len(more) else (more, counts)
    total = longer.astype(np.int64)
    total[: len(shorter)] += shorter
    return total
