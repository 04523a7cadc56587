"""Schedules: a value as a function of a phase's progress."""

from dataclasses import dataclass
from math import exp, log
from typing import Annotated, Literal

from annotated_types import Gt, Le

from protocol.params import param


@dataclass(frozen=True)
class Schedule:
    """From `start` to `end`, then constant.

    linear:      start + (end - start) x          with x = min(1, progress / until)
    exponential: start (end / start)^x            both positive

    ValueError for an exponential one that is not positive.
    """

    start: float = param(1.0, "value at the beginning of the phase", source="ours")
    end: float = param(1.0, "value from progress `until` on", source="ours")
    until: Annotated[float, Gt(0), Le(1)] = param(1.0, "share of the phase after which it is constant", source="ours")
    shape: Literal["linear", "exponential"] = param("linear", "how it gets from start to end", source="ours")

    def __post_init__(self) -> None:
        if self.shape == "exponential" and min(self.start, self.end) <= 0:
            raise ValueError(f"exponential from {self.start} to {self.end}: both must be positive; use shape linear")

    def at(self, progress: float) -> float:
        """The value at a progress in [0, 1]."""
        x = min(1.0, progress / self.until)
        if self.shape == "exponential":
            return self.start * exp(x * log(self.end / self.start))
        return self.start + (self.end - self.start) * x


def constant(value: float) -> Schedule:
    """The same value always."""
    return Schedule(value, value)
