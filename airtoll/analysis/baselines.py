"""A run and its baselines on the same channels: its gain over the floor, and its share of the gap to the ceiling."""

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

_SCORE = "reward_total"


def comparison(summary: Mapping[str, Any], baselines: Mapping[str, Mapping[str, Any]], *, node_slots: int) -> Table:
    """One row per scheme, the run itself last: reward, gain over the first baseline, share of the gap from the first to
    the last; then the world's other metrics and the overhead in evaluation, over its `node_slots` slots times nodes."""
    rows = [*baselines.items(), (summary["scheme"], summary)]
    floor, *_, ceiling = [score(baseline) for baseline in baselines.values()]
    metrics = [name for name in summary["metrics"] if name != _SCORE][:2]
    table = Table(title="on the same channels, eval phase", box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
    table.add_column("scheme", no_wrap=True)
    for heading in (_SCORE, "over the first", "share of the gap", *metrics, "execution overhead [bytes/slot/node]"):
        table.add_column(heading.replace("_", " "), justify="right")
    for name, row in rows:
        gain, share = score(row) / floor - 1, gap_share(score(row), floor, ceiling)
        means = [f"{row['metrics'][metric]:.4f}" for metric in metrics]
        shown, overhead = name.replace(" ", "\n  "), f"{eval_bytes(row) / node_slots:.4g}"
        table.add_row(shown, f"{score(row):.5g}", f"{gain:+.1%}", f"{share:.1%}", *means, overhead)
    return table


def score(summary: Mapping[str, Any]) -> float:
    """The mean reward per slot over the eval phase."""
    return float(summary["metrics"][_SCORE])


def gap_share(value: float, floor: float, ceiling: float) -> float:
    """0 at the floor, 1 at the ceiling; nan when they are the same."""
    return (value - floor) / (ceiling - floor) if ceiling != floor else float("nan")


def eval_bytes(summary: Mapping[str, Any]) -> int:
    """Bytes of the notes that execution costs. The last notes of training may still be sent in the eval phase: they do
    not count."""
    tolls = summary["toll_by_phase"].get("eval", {})
    return sum(toll["note_bytes"] for kind, toll in tolls.items() if kind not in ("history", "weights", "ack"))
