"""A run beside others on the same channels: what it gains over the floor, and how far it gets to the ceiling."""

from collections.abc import Mapping
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

_SCORE = "reward_total"


def comparison(summary: Mapping[str, Any], others: Mapping[str, Mapping[str, Any]], *, node_slots: int) -> Table:
    """One row per scheme, ours last: reward, gain over the first, share of the gap from the first to the last; then the
    world's other metrics and the bytes told in evaluation, over its `node_slots` slots times nodes."""
    rows = [*others.items(), (summary["scheme"], summary)]
    floor, *_, ceiling = [score(other) for other in others.values()]
    metrics = [name for name in summary["metrics"] if name != _SCORE][:2]
    table = Table(title="on the same channels, eval phase", box=SIMPLE_HEAD, title_justify="left", pad_edge=False)
    table.add_column("scheme", no_wrap=True)
    for heading in (_SCORE, "over the first", "share of the gap", *metrics, "bytes told in eval per slot, node"):
        table.add_column(heading.replace("_", " "), justify="right")
    for name, row in rows:
        gain, share = score(row) / floor - 1, gap_share(score(row), floor, ceiling)
        figures = [f"{row['metrics'][metric]:.4f}" for metric in metrics]
        shown, told = name.replace(" ", "\n  "), f"{eval_bytes(row) / node_slots:.4g}"
        table.add_row(shown, f"{score(row):.5g}", f"{gain:+.1%}", f"{share:.1%}", *figures, told)
    return table


def score(summary: Mapping[str, Any]) -> float:
    """The mean reward per slot over the eval phase."""
    return float(summary["metrics"][_SCORE])


def gap_share(value: float, floor: float, ceiling: float) -> float:
    """0 at the floor, 1 at the ceiling; nan when they are the same."""
    return (value - floor) / (ceiling - floor) if ceiling != floor else float("nan")


def eval_bytes(summary: Mapping[str, Any]) -> int:
    """Bytes of notes told in the eval phase: what execution costs. The last of training may still be on its way."""
    told = summary["toll_by_phase"].get("eval", {})
    return sum(toll["note_bytes"] for kind, toll in told.items() if kind not in ("history", "weights", "ack"))
