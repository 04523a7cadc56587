"""Normalised value targets: a value network learns returns of mean 0 and deviation 1, whatever their scale."""

from typing import Any

from torch import Tensor

_MIN_DEVIATION = 1e-2


class ValueNorm:
    """Running mean and standard deviation of all returns so far, in float64.

    As in MAPPO (yu2022), the network's last layer is not rescaled when they move, unlike in PopArt. Before the
    first update it changes nothing.
    """

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0  # squares: sum of squared deviations from the mean

    @property
    def deviation(self) -> float:
        """The standard deviation, at least 0.01."""
        return max(_MIN_DEVIATION, (self.squares / self.count) ** 0.5) if self.count else 1.0

    def update(self, returns: Tensor) -> None:
        """Take in returns of any shape."""
        if not returns.numel():
            return
        values = returns.double()
        count, mean = values.numel(), float(values.mean())
        total, delta = self.count + count, mean - self.mean
        self.squares += float((values - mean).square().sum()) + delta**2 * self.count * count / total
        self.mean += delta * count / total
        self.count = total

    def normalise(self, returns: Tensor) -> Tensor:
        """(x - mean) / deviation"""
        return (returns - self.mean) / self.deviation

    def denormalise(self, values: Tensor) -> Tensor:
        """x deviation + mean"""
        return values * self.deviation + self.mean

    def snapshot(self) -> dict[str, Any]:
        """All state."""
        return {"count": self.count, "mean": self.mean, "squares": self.squares}

    def restore(self, data: dict[str, Any]) -> None:
        """The inverse of `snapshot`."""
        self.count, self.mean, self.squares = data["count"], data["mean"], data["squares"]
