"""A run compared with its baselines on the same channels: performance and signalling overhead."""

from collections.abc import Mapping
from typing import Any

from channel_server.worlds.contract import REWARD_METRIC


def compared(summary: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One row per scheme, the run's own last: the metrics of the last eval phase, the gain of the mean reward over the
    first baseline (the floor), its share of the gap between the first and the last (the ceiling), and the overhead of
    training and of execution.

    A gain or share is None where there is nothing to divide by, and in a run without eval. Empty without baselines.
    """
    if not baselines:
        return []
    rows = [*baselines.items(), (summary["scheme"], summary)]
    scores = [score(baseline) for baseline in baselines.values()]
    floor, ceiling = scores[0], scores[-1]  # one and the same of a single baseline
    return [
        {
            "scheme": name,
            "metrics": row["metrics"],
            "gain_over_floor": _gain(score(row), floor),
            "share_of_gap": gap_share(score(row), floor, ceiling),
            **{part: _overhead(row["overhead"][part]) for part in ("training", "execution")},
        }
        for name, row in rows
    ]


def score(summary: Mapping[str, Any]) -> float | None:
    """The mean reward per slot over the last eval phase; None without one."""
    value = summary["metrics"].get(REWARD_METRIC)
    return None if value is None else float(value)


def gap_share(value: float | None, floor: float | None, ceiling: float | None) -> float | None:
    """0 at the floor, 1 at the ceiling; None when they are the same."""
    if value is None or floor is None or ceiling is None or ceiling == floor:
        return None
    return (value - floor) / (ceiling - floor)


def _gain(value: float | None, floor: float | None) -> float | None:
    return None if value is None or not floor else value / floor - 1


def _overhead(part: Mapping[str, Any]) -> dict[str, Any]:
    """The sums of a part of the overhead, without its kinds."""
    return {key: value for key, value in part.items() if key != "kinds"}
